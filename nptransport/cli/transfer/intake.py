"""Listens to a Consumer until everything is there, or there is no use in waiting."""

from __future__ import annotations

import time

import nptransport as npt

from ..exits import ExitCode, Stop
from ..report import Report
from ..signals import Interruption
from .receiving import Receiving

__all__ = ["Intake"]

_SLICE = 0.1  # seconds between looks at whether to end
_GONE = 5.0  # seconds without any connection after which a sender in the middle of its files is given up
_LATE = 3.0  # seconds for somebody who is connected to begin or to leave, after all others are through


class Intake:
    """One run of ``recv``.

    Args:
        timeout: seconds of silence after which it ends; None for never.
        count: number of files after which it ends, instead of when all senders are through.
        forever: never end of its own accord but after ``timeout``.
    """

    def __init__(
        self,
        consumer: npt.Consumer,
        receiving: Receiving,
        report: Report,
        interruption: Interruption,
        *,
        timeout: float | None,
        count: int | None,
        forever: bool,
    ) -> None:
        self._consumer = consumer
        self._receiving = receiving
        self._report = report
        self._interruption = interruption
        self._timeout = timeout
        self._count = count
        self._forever = forever
        self._heard = self._connected = time.monotonic()

    def run(self) -> int:
        """Take in what comes; the exit code. Stop if nothing comes for too long."""
        try:
            while not self._interruption:
                silence = time.monotonic() - self._heard
                if self._is_through(silence):
                    return self._verdict()
                if self._timeout is not None and silence >= self._timeout:
                    return self._fall_silent()
                self._take_one()
            return self._interruption.exit_code
        finally:
            ended = self._interruption or self._count is None
            self._receiving.drop_all("recv was ended before it was whole" if ended else "")

    def _take_one(self) -> None:
        try:
            message = self._consumer.recv_message(timeout=_SLICE)
        except npt.DecodeError as error:
            self._receiving.undecodable(error)
        except npt.Timeout:
            self._look()
        else:
            self._heard = time.monotonic()
            self._receiving.message(message)

    def _look(self) -> None:
        """Whether anybody is left of whom something can still come."""
        now = time.monotonic()
        if self._consumer.statistics().connections or not self._receiving.active:
            self._connected = now
        elif now - self._connected >= _GONE:
            reason = f"its sender has been gone for {_GONE:g} s, or sent more than --limit-bytes in one message"
            self._receiving.drop_all(reason)

    def _is_through(self, silence: float) -> bool:
        receiving = self._receiving
        if self._count is not None:
            enough = self._report.files >= self._count
            if enough and (receiving.is_amid or silence >= _LATE):  # somebody has more than was asked for
                return True
        else:
            enough = receiving.begun > 0 and not self._forever
        # Let them say their last word, and leave first: else they think that we broke off.
        return enough and not receiving.active and (silence >= _LATE or not self._consumer.statistics().connections)

    def _fall_silent(self) -> int:
        """Nothing came for too long: well if all that began is there, and nobody said how much was to come."""
        receiving = self._receiving
        if receiving.begun and not receiving.active and self._count is None:
            return self._verdict()
        receiving.drop_all(f"nothing came for {self._timeout:g} s")
        where = ", ".join(self._consumer.addresses)
        connected = self._consumer.statistics().connections or "none"
        silence = f"nothing came for {self._timeout:g} s; senders that are connected: {connected}"
        raise Stop(ExitCode.TIMEOUT, f"{where}: {silence}")

    def _verdict(self) -> int:
        return ExitCode.FAILED if self._report.failed or self._receiving.stopped else ExitCode.OK
