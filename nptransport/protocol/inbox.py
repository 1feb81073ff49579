"""The receiving half of a stream, without a socket: decode, and keep account of what did not come."""

from __future__ import annotations

from collections import OrderedDict

from ..envelope import Envelope

__all__ = ["Inbox"]

# Sources are remembered for their gaps; a peer that is another one with each message cannot fill memory with them.
_SOURCES = 1024


class Inbox:
    """Counts of one consumer."""

    def __init__(self) -> None:
        self.messages = 0
        self.nbytes = 0
        self.missed = 0
        self.malformed = 0
        self._next: OrderedDict[str, int] = OrderedDict()

    def received(self, envelope: Envelope | None, nbytes: int) -> None:
        self.messages += 1
        self.nbytes += nbytes
        if envelope is not None:
            self._follow(envelope.source, envelope.sequence)

    def _follow(self, source: str, sequence: int) -> None:
        expected = self._next.get(source)
        if expected is None:
            if len(self._next) >= _SOURCES:
                self._next.popitem(last=False)
        elif sequence > expected:
            self.missed += sequence - expected
        elif sequence < expected:
            # Late, by another way: a producer may reach one consumer at two addresses.
            self.missed -= self.missed > 0
            return
        self._next[source] = sequence + 1
