"""What a proxy knows of the streams that pass through it; no socket."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .outlets import Route
from .program import Parcel
from .tags import Position

__all__ = ["Line", "Relay"]

_TOPICS = 4096  # known at a time; the one that was new longest ago is forgotten first
_SOURCES = 256  # on each


class Line(Route):
    """One topic, and where its streams stand."""

    __slots__ = ("begun", "following")

    def __init__(self, name: bytes) -> None:
        super().__init__(name)
        self.following: dict[str, int] = {}
        """By source, the sequence of its next message."""
        self.begun: dict[str, int] = {}
        """By source, the sequence of the first that could have come here."""

    def note(self, source: str, following: int, first: int) -> bool:
        """The next message of ``source`` is to be ``following``; False if that, or a later one, was known.

        ``first``: where it began, should nothing be known of it.
        """
        if following <= self.following.get(source, -1):
            return False
        if source not in self.following:
            if len(self.following) >= _SOURCES:
                oldest = next(iter(self.following))
                del self.following[oldest], self.begun[oldest]
            self.begun[source] = first
        self.following[source] = following
        return True


class Relay:
    """All topics of one proxy."""

    def __init__(self) -> None:
        self.speaker = os.urandom(8).hex()
        self._lines: dict[bytes, Line] = {}
        self.messages = 0
        self.nbytes = 0
        self.duplicates = 0
        self.malformed = 0

    def line(self, topic: bytes) -> Line:
        found = self._lines.get(topic)
        if found is None:
            if len(self._lines) >= _TOPICS:
                del self._lines[next(iter(self._lines))]
            found = self._lines[topic] = Line(topic)
        return found

    def forget(self, wanted: Iterable[bytes]) -> None:
        """Drop what is known of topics that nobody wants any more: it would be out of date when somebody does."""
        prefixes = tuple(wanted)
        for topic in [topic for topic in self._lines if not topic.startswith(prefixes)]:
            del self._lines[topic]

    # What a distributor asks for

    def under(self, prefix: bytes) -> Iterable[bytes]:
        return [topic for topic in self._lines if topic.startswith(prefix)]

    def positions(self, topic: bytes) -> Iterable[Position]:
        line = self._lines.get(topic)
        if line is None:
            return []
        name = topic.decode()
        return [Position(source, name, following, line.begun[source]) for source, following in line.following.items()]

    def retained(self, topic: bytes) -> Iterable[Parcel]:
        line = self._lines.get(topic)
        return [line.retained] if line is not None and line.retained is not None else []
