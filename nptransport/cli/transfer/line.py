"""A Producer that a person waits for: looks up between messages, and knows when to give in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import nptransport as npt

from ..exits import ExitCode, Stop
from ..lookup import Lookup
from ..report import Report
from ..signals import Interruption
from .words import Word

__all__ = ["Interrupted", "Line"]

_SLICE = 0.2  # seconds between looks at whether to end
_LOOK = 0.05  # seconds between looks at who is connected
_PATIENCE = 1.0  # seconds until a person is told what is waited for, or for the last word after Ctrl-C
_FOREVER = 1e9  # seconds


class Interrupted(Exception):
    """Somebody asked to end."""


class Line:
    """The way to one receiver. Each method raises Stop where there is no use in going on.

    Args:
        connect: those of the producer's addresses that are of the other side.
        timeout: seconds to wait for the receiver, and for room there; None for ever.
    """

    def __init__(
        self,
        producer: npt.Producer,
        report: Report,
        interruption: Interruption,
        *,
        connect: Sequence[str],
        timeout: float | None,
    ) -> None:
        self._producer = producer
        self._report = report
        self._interruption = interruption
        self._connect = connect
        self._timeout = timeout
        self._where = ", ".join(producer.addresses)
        self._looked = 0.0
        self._warned = False

    def wait_for_receiver(self) -> None:
        started = time.monotonic()
        told = False
        lookup = Lookup(self._connect)
        while not self._producer.statistics().connections:
            waited = time.monotonic() - started
            if self._interruption:
                raise Interrupted
            if self._timeout is not None and waited >= self._timeout:
                raise Stop(
                    ExitCode.TIMEOUT, f"{self._where}: no receiver came within {self._timeout:g} s{lookup.verdict}"
                )
            if waited > _PATIENCE and not told:
                self._report.note(f"waiting for a receiver at {self._where}{lookup.verdict}")
                told = True
            with contextlib.suppress(npt.Timeout):
                self._producer.flush(timeout=_LOOK)  # there is nothing yet; but whoever refuses us is told of

    def say(self, word: Word) -> None:
        payload = word.payload()
        slice_ = _SLICE if self._timeout is None else min(_SLICE, self._timeout)
        waited = 0.0
        while True:
            if self._interruption:
                raise Interrupted
            self._look()
            try:
                self._producer.send(payload, timeout=slice_)
                return
            except npt.Timeout:
                waited += slice_
            if self._timeout is not None and waited >= self._timeout:
                raise Stop(ExitCode.TIMEOUT, f"{self._where}: the receiver took nothing for {self._timeout:g} s")

    def wait_until(self, due: float) -> None:
        """Until ``time.monotonic()`` is ``due``."""
        while (left := due - time.monotonic()) > 0:
            if self._interruption:
                raise Interrupted
            time.sleep(min(left, _LOOK))

    def settle(self) -> None:
        """Return once the receiver has read everything."""
        with self._interruption.at_once():
            self._flush()
            missing = self._producer.close(linger=_FOREVER if self._timeout is None else self._timeout)
        if missing:
            lost = f"{missing} or more messages are not known to have arrived"
            raise Stop(ExitCode.TIMEOUT, f"{self._where}: {lost} within {self._timeout or 0:g} s")

    def _flush(self) -> None:
        """Until everything is with the receiver's system: so long one can see whether the receiver breaks off."""
        started = time.monotonic()
        while True:
            self._look(at_once=True)
            try:
                self._producer.flush(timeout=_SLICE)
            except npt.Timeout:
                if self._timeout is not None and time.monotonic() - started >= self._timeout:
                    raise Stop(ExitCode.TIMEOUT, f"{self._where}: the receiver did not take the rest") from None
            else:
                self._look(at_once=True)
                return

    def say_last(self, word: Word) -> None:
        """As far as there is room for it now."""
        with contextlib.suppress(npt.Timeout):
            self._producer.send(word.payload(), timeout=_PATIENCE)
        self._producer.close(linger=_PATIENCE)

    def _look(self, *, at_once: bool = False) -> None:
        """Whether the receiver is still there: a new one would get the rest of a file without its beginning."""
        now = time.monotonic()
        if now - self._looked < _LOOK and not at_once:
            return
        self._looked = now
        statistics = self._producer.statistics()
        if statistics.disconnects and not statistics.connections:
            raise Stop(ExitCode.FAILED, f"{self._where}: the receiver broke off; see what it says, then send again")
        if statistics.connections > 1 and not self._warned:
            self._warned = True
            self._report.note(f"{statistics.connections} receivers are connected: each gets only some of the frames")
