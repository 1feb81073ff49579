"""The receiving half of a stream, without a socket: decode, and keep account of what did not come."""

from __future__ import annotations

from ..codec.envelope import Envelope

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
        self._next: dict[str, int] = {}

    def received(self, envelope: Envelope | None, nbytes: int) -> None:
        if envelope is not None:
            self.received_from(envelope[0], envelope[1], nbytes)
        else:
            self.messages += 1
            self.nbytes += nbytes

    def received_from(self, source: str, sequence: int, nbytes: int) -> None:
        self.messages += 1
        self.nbytes += nbytes
        if self._next.get(source) != sequence:
            self._jump(source, sequence)
        self._next[source] = sequence + 1

    def _jump(self, source: str, sequence: int) -> None:
        expected = self._next.get(source)
        if expected is None:
            if len(self._next) >= _SOURCES:
                del self._next[next(iter(self._next))]
        elif sequence > expected:
            self.missed += sequence - expected
