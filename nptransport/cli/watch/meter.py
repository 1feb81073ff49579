"""How fast a stream is, and how late: over the last seconds, in bounded memory however fast it is."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

import numpy as np

__all__ = ["Meter", "Reading"]

_SLOT = 0.1  # seconds that are counted together
_SAMPLES = 256  # latencies that are kept of each slot, each message's with the same chance


class Reading(NamedTuple):
    """What a meter shows; None where that is not known."""

    rate: float | None
    """Messages a second."""
    bandwidth: float | None
    """Bytes a second."""
    median: float | None
    """Of the seconds from sending to receiving; with the clocks of two machines, their difference is in it."""
    p99: float | None
    age: float
    """Seconds since the last message came."""


class Meter:
    """The speed of one stream over the last ``window`` seconds; of a slower one, over its last two messages."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._slots: deque[_Slot] = deque()
        self._ends = -1.0

    def add(self, now: float, nbytes: int, latency: float | None) -> None:
        """A message of that many bytes came, ``latency`` seconds after it was sent."""
        if now >= self._ends:
            self._slots.append(_Slot(now, nbytes))
            self._ends = now + _SLOT
            self._forget(now)
        slot = self._slots[-1]
        slot.count += 1
        slot.nbytes += nbytes
        slot.last = now
        if latency is None:
            return
        if len(slot.latencies) < _SAMPLES:
            slot.latencies.append(latency)
        elif (place := int(random.random() * slot.count)) < _SAMPLES:
            slot.latencies[place] = latency

    def read(self, now: float) -> Reading:
        """Where it stands; it has counted one message at least."""
        self._forget(now)
        rate, bandwidth = self._speed(now)
        latencies = [latency for slot in self._slots for latency in slot.latencies]
        median, p99 = np.percentile(latencies, [50, 99]).tolist() if latencies else (None, None)
        return Reading(rate, bandwidth, median, p99, now - self._slots[-1].last)

    def _speed(self, now: float) -> tuple[float | None, float | None]:
        first, last = self._slots[0], self._slots[-1]
        steps = sum(slot.count for slot in self._slots) - 1
        if not steps or last.last <= first.start:
            return None, None
        age, took = now - last.last, last.last - first.start
        gap = took / steps
        if age > max(self._window, 3 * gap):
            return 0.0, 0.0
        if age > 2 * gap:  # it has paused, or ended
            took = now - first.start
        nbytes = sum(slot.nbytes for slot in self._slots) - first.first_nbytes
        return steps / took, nbytes / took

    def _forget(self, now: float) -> None:
        while len(self._slots) > 2 and self._slots[1].start <= now - self._window:
            self._slots.popleft()


class _Slot:
    """The messages of a moment."""

    __slots__ = ("count", "first_nbytes", "last", "latencies", "nbytes", "start")

    def __init__(self, start: float, first_nbytes: int) -> None:
        self.start = self.last = start
        self.first_nbytes = first_nbytes
        self.count = 0
        self.nbytes = 0
        self.latencies: list[float] = []
