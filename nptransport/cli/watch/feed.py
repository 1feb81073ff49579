"""A Subscriber that people look through: what a peer does wrong is counted there, and raises nothing here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..plain import plain
from ..signals import Interruption
from ..units import counted

__all__ = ["Feed", "announce"]

_SLICE = 0.05  # seconds between looks at whether to end, and at the keyboard
_PATIENCE = 1.0  # seconds until a person is told what is waited for


class Feed:
    """Messages from ``subscriber``, in slices of time.

    Args:
        topic: what it has subscribed to, for what is said.
        timeout: seconds of silence after which there is no use in waiting; None for never.
    """

    def __init__(
        self, subscriber: npt.Subscriber, topic: str, interruption: Interruption, timeout: float | None
    ) -> None:
        self._subscriber = subscriber
        self._interruption = interruption
        self._timeout = timeout
        self.where = ", ".join(subscriber.addresses) + (f", topic {plain(topic)!r}" if topic else "")
        """The addresses and the topic, for people."""
        self.complaint = ""
        """What was wrong with the last message that was refused."""

    @property
    def interrupted(self) -> bool:
        return bool(self._interruption)

    def statistics(self) -> npt.SubscriberStatistics:
        return self._subscriber.statistics()

    def take_slice(self) -> Iterator[npt.Message]:
        """What comes within a slice of time, however much that is."""
        ends = time.monotonic() + _SLICE
        while (left := ends - time.monotonic()) > 0 and not self._interruption:
            try:
                yield self._subscriber.recv_message(timeout=left)
            except npt.Timeout:
                return
            except npt.DecodeError as error:
                self.complaint = str(error)

    def check_silence(self, silence: float) -> None:
        """Stop if nothing has come for too long."""
        if self._timeout is not None and silence >= self._timeout:
            why = f"; refused: {plain(self.complaint)}" if self.complaint else ""
            raise Stop(ExitCode.TIMEOUT, f"{self.where}: nothing came for {self._timeout:g} s{why}")

    def waiting(self, silence: float) -> str:
        """What to say to a person who sees nothing come; "" as long as that is not worth a word."""
        if silence < _PATIENCE:
            return ""
        statistics = self._subscriber.statistics()
        publishers = counted(statistics.connections, "publisher")
        return f"waiting for a message at {self.where}: {publishers} connected{self.refused(statistics)}"

    def refused(self, statistics: npt.SubscriberStatistics) -> str:
        """How many messages were refused, and why the last one was; how many connections, and why; "" if none was."""
        said = ""
        if statistics.malformed:
            said = f", {counted(statistics.malformed, 'message')} refused: {plain(self.complaint)}"
        if statistics.refused:
            said += f", {counted(statistics.refused, 'connection')} refused: {', '.join(sorted(statistics.refusals))}"
        return said


def announce(addresses: Sequence[str], *, as_json: bool) -> None:
    """Where it listens: the system chose the port of ``tcp://*:0``."""
    for address in addresses:
        if as_json:
            click.echo(json.dumps({"event": "listening", "address": address}))
        else:
            click.echo(f"listening at {address}", err=True)
