"""What a subscriber has got and what it has not, for each source and topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["Ledger", "Stream", "StreamStatistics"]

# Streams that are accounted for one by one. The oldest go first, into the totals: a peer that is another source with
# each message cannot fill memory.
_STREAMS = 4096


@dataclass(frozen=True)
class StreamStatistics:
    """One source's messages on one topic, from where this subscriber came in.

    ``received + skipped + stale + missed == sent``, always.
    """

    first: int
    """Sequence of the first message that could have come."""
    sent: int
    """Messages from that on that the source is known to have sent."""
    received: int
    """Handed out."""
    skipped: int
    """Arrived, and passed over for a newer one (``latest=True``)."""
    stale: int
    """Arrived, and older than ``max_age`` when their turn came."""
    missed: int
    """Did not arrive: dropped by a publisher or proxy that had no room, lost with a connection, or malformed."""
    waiting: int
    """Arrived, and not yet handed out; they become part of ``sent`` when they are."""


class Stream:
    """Counts of one stream. What arrives is ``noted`` first, and counted once its fate is known."""

    __slots__ = ("first", "following", "missed", "received", "skipped", "stale", "waiting")

    def __init__(self, first: int) -> None:
        self.first = self.following = first
        self.received = self.skipped = self.stale = self.missed = self.waiting = 0

    def note(self, sequence: int) -> bool:
        """A message has arrived; False if it has before."""
        if sequence != self.following:
            if sequence < self.following:
                return False
            self.missed += sequence - self.following
        self.following = sequence + 1
        self.waiting += 1
        return True

    def take(self, sequence: int) -> bool:
        """A message has arrived and is handed out at once; False if it has before."""
        if not self.note(sequence):
            return False
        self.waiting -= 1
        self.received += 1
        return True

    def stand(self, following: int) -> None:
        """The source says that ``following`` comes next: what should have come before and did not is missed."""
        if following > self.following:
            self.missed += following - self.following
            self.following = following

    def statistics(self) -> StreamStatistics:
        sent = self.following - self.first - self.waiting
        return StreamStatistics(
            self.first, sent, self.received, self.skipped, self.stale, self.missed, max(self.waiting, 0)
        )


class Ledger:
    """The streams of one subscriber, by source and topic. Messages without an envelope have the source ""."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], Stream] = {}
        self._past = Stream(0)
        self.nbytes = 0
        self.duplicates = 0
        self.malformed = 0

    def open(self, source: str, topic: str, first: int) -> Stream:
        """The stream; from ``first`` on if it is a new one."""
        stream = self._streams.get((source, topic))
        if stream is None:
            if len(self._streams) >= _STREAMS:
                self._forget(next((key for key, old in self._streams.items() if not old.waiting), None))
            stream = self._streams[source, topic] = Stream(first)
        return stream

    def _forget(self, key: tuple[str, str] | None) -> None:
        if key is None:
            return  # all have messages that are not handed out yet
        old = self._streams.pop(key)
        for name in ("received", "skipped", "stale", "missed"):
            setattr(self._past, name, getattr(self._past, name) + getattr(old, name))

    def total(self, name: str) -> int:
        """Sum of one count over all streams, those that were forgotten included."""
        counts = [int(getattr(stream, name)) for stream in [*self._streams.values(), self._past]]
        return sum(counts)

    def statistics(self) -> Mapping[tuple[str, str], StreamStatistics]:
        return MappingProxyType({key: stream.statistics() for key, stream in list(self._streams.items())})
