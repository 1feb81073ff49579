"""A meter for each stream, sorted as somebody wants to see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import nptransport as npt

from ..plain import plain
from .meter import Meter, Reading
from .outline import dtype_name, outline

__all__ = ["SORTS", "Board", "Row"]

_WINDOW = 3.0  # seconds over which speeds are taken
_MOST = 1000  # streams; a publisher that makes up topics cannot fill memory
_SUCCEEDED = 30.0  # seconds after which a silent source gives way to another one with its topic

_Key = tuple[str, str]  # source, topic


class Row(NamedTuple):
    """One stream: a topic from one source."""

    topic: str
    source: str
    payload: str
    """Its outline."""
    dtype: str | None
    """None for what is not an array, as the shape."""
    shape: tuple[int, ...] | None
    reading: Reading
    received: int
    missed: int
    skipped: int
    stale: int


def _descending(value: Callable[[Row], float | None]) -> Callable[[Row], tuple[Any, ...]]:
    """Largest first, unknown last, equal ones by topic."""

    def key(row: Row) -> tuple[Any, ...]:
        found = value(row)
        return (found is None, -(found or 0.0), row.topic, row.source)

    return key


SORTS: Mapping[str, Callable[[Row], tuple[Any, ...]]] = {
    "topic": lambda row: (row.topic, row.source),
    "rate": _descending(lambda row: row.reading.rate),
    "bandwidth": _descending(lambda row: row.reading.bandwidth),
    "latency": _descending(lambda row: row.reading.p99),
    "missed": _descending(lambda row: row.missed),
    "age": _descending(lambda row: row.reading.age),
}
"""By name: each begins with what one looks for, the fastest, the latest, the longest silent."""


class Board:
    """All streams that have been seen.

    Args:
        interval: seconds between readings; speeds are taken over so long, at least.
    """

    def __init__(self, interval: float) -> None:
        self._window = max(_WINDOW, interval)
        self._streams: dict[_Key, _Stream] = {}
        self.forgotten = 0
        """Streams that there was no room for."""

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, message: npt.Message, now: float) -> None:
        """Count the message; ``now`` is time.monotonic()."""
        key = message.source or "", message.topic or ""
        stream = self._streams.get(key)
        if stream is None:
            self._make_room()
            stream = self._streams[key] = _Stream(self._window)
        sent_at = message.sent_at
        stream.meter.add(now, message.nbytes, None if sent_at is None else time.time() - sent_at)
        stream.received += 1
        stream.heard = now
        if stream.is_due:  # one of each stream for each reading, however many come
            stream.look_at(message.payload)

    def rows(self, now: float, statistics: npt.SubscriberStatistics, sort: str) -> list[Row]:
        """What the meters show, in the order ``sort``."""
        self._drop_predecessors(now)
        rows = []
        for key, stream in self._streams.items():
            source, topic = key
            counts = statistics.streams.get(key)
            stream.is_due = True
            rows.append(
                Row(
                    topic=plain(topic),
                    source=plain(source),
                    payload=stream.payload,
                    dtype=stream.dtype,
                    shape=stream.shape,
                    reading=stream.meter.read(now),
                    received=stream.received,
                    missed=counts.missed if counts else 0,
                    skipped=counts.skipped if counts else 0,
                    stale=counts.stale if counts else 0,
                )
            )
        return sorted(rows, key=SORTS[sort])

    def _drop_predecessors(self, now: float) -> None:
        """A publisher that was started anew is another source: its former self need not stay for ever."""
        heard: dict[str, float] = {}
        for (_, topic), stream in self._streams.items():
            heard[topic] = max(heard.get(topic, stream.heard), stream.heard)
        for key, stream in list(self._streams.items()):
            if stream.heard < heard[key[1]] and now - stream.heard > _SUCCEEDED:
                del self._streams[key]

    def _make_room(self) -> None:
        if len(self._streams) >= _MOST:
            del self._streams[min(self._streams, key=lambda key: self._streams[key].heard)]
            self.forgotten += 1


class _Stream:
    """What is known of one."""

    def __init__(self, window: float) -> None:
        self.meter = Meter(window)
        self.received = 0
        self.heard = 0.0
        self.is_due = True
        self.payload = ""
        self.dtype: str | None = None
        self.shape: tuple[int, ...] | None = None

    def look_at(self, payload: Any) -> None:
        self.is_due = False
        self.payload = outline(payload)
        array = payload if isinstance(payload, (np.ndarray, np.generic)) else None
        self.dtype = None if array is None else dtype_name(array.dtype)
        self.shape = None if array is None else array.shape
