"""What camera and viewers tell of their doings, and whether it adds up."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import nptransport as npt

__all__ = ["DigestSum", "Tally", "Teller", "Verdict", "judge", "lost_so_far"]

_INTERVAL = 0.2  # seconds between tallies
_WINDOW = 2.0  # seconds over which a speed is taken

Array = np.ndarray[Any, Any]


class DigestSum:
    """A sum of digests, one for each frame with its number.

    The same in whatever order they are added; another one if a frame is lost, doubled or damaged.
    """

    _MODULUS = 2**128

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def add(self, number: int, frame: Array) -> None:
        digest = hashlib.blake2b(number.to_bytes(8, "little"), digest_size=16)
        digest.update(frame.data)
        self.value = (self.value + int.from_bytes(digest.digest(), "little")) % self._MODULUS

    def __add__(self, other: DigestSum) -> DigestSum:
        return DigestSum((self.value + other.value) % self._MODULUS)


class Teller:
    """Sends the tallies of one process to the screen."""

    def __init__(self, who: str, address: str) -> None:
        self._who = who
        self._producer = npt.Producer(connect=address)
        self._numbers: list[int] = []
        self._latencies: list[float] = []
        self._nbytes = 0
        self._told = time.monotonic()
        self._digests = DigestSum()

    def count(self, number: int, frame: Array, latency: float | None = None) -> None:
        """Frame ``number`` was sent, or received ``latency`` seconds after it was sent."""
        self._numbers.append(number)
        self._nbytes += frame.nbytes
        self._digests.add(number, frame)
        if latency is not None:
            self._latencies.append(latency)

    def is_due(self) -> bool:
        return time.monotonic() - self._told >= _INTERVAL

    def tell(self, **more: Any) -> None:
        """Send what has been counted since the last time, and ``more``."""
        self._told = time.monotonic()
        numbers, latencies = np.array(self._numbers, np.int64), np.array(self._latencies, np.float64)
        news = {"numbers": numbers, "latencies": latencies, "nbytes": self._nbytes}
        self._producer.send({"who": self._who, **news, **more}, timeout=5.0)
        self._numbers, self._latencies, self._nbytes = [], [], 0

    def tell_last(self, **more: Any) -> None:
        """As :meth:`tell`, with the sum of all digests; nothing follows."""
        self.tell(digests=self._digests.value.to_bytes(16, "little"), **more)
        self._producer.close()


class Tally:
    """What one process has told so far."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.frames = 0
        self.nbytes = 0
        self.address = ""
        self.seconds = 0.0
        self.picture: Array | None = None
        self.digests: DigestSum | None = None
        """Known when it has told for the last time."""
        self._numbers: list[Array] = []
        self._latencies: list[Array] = []
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=round(_WINDOW / _INTERVAL))

    def take(self, news: dict[str, Any]) -> None:
        self._numbers.append(news["numbers"])
        self._latencies.append(news["latencies"])
        self.frames += len(news["numbers"])
        self.nbytes += news["nbytes"]
        if len(news["numbers"]):
            self._marks.append((time.monotonic(), self.frames, self.nbytes))
        self.address = news.get("address", self.address)
        self.picture = news.get("picture", self.picture)
        self.seconds = news.get("seconds", self.seconds)
        if "digests" in news:
            self.digests = DigestSum(int.from_bytes(news["digests"], "little"))

    def speed(self) -> tuple[float, float]:
        """Frames and bytes a second, lately."""
        if len(self._marks) < 2:
            return 0.0, 0.0
        (start, frames, nbytes), (end, *_) = self._marks[0], self._marks[-1]
        return (self.frames - frames) / (end - start), (self.nbytes - nbytes) / (end - start)

    @property
    def numbers(self) -> Array:
        return np.concatenate([np.empty(0, np.int64), *self._numbers])

    @property
    def latencies(self) -> Array:
        """In seconds."""
        return np.concatenate([np.empty(0), *self._latencies])


class Verdict(NamedTuple):
    """Whether what the viewers received is what the camera sent."""

    sent: int
    received: int
    lost: int
    doubled: int
    digests_equal: bool

    @property
    def good(self) -> bool:
        return self.sent > 0 and not self.lost and not self.doubled and self.digests_equal


def lost_so_far(viewers: Sequence[Tally]) -> int:
    """Frames that nobody has got although each viewer has got a later one: each gets its frames in their order."""
    if not all(viewer.frames for viewer in viewers):
        return 0
    seen_by_all = min(int(viewer.numbers[-1]) for viewer in viewers)
    received = np.concatenate([viewer.numbers for viewer in viewers])
    return seen_by_all + 1 - np.unique(received[received <= seen_by_all]).size


def judge(camera: Tally, viewers: Sequence[Tally]) -> Verdict:
    """Compare them, all having told for the last time."""
    sent = camera.numbers
    received = np.concatenate([viewer.numbers for viewer in viewers])
    lost = np.setdiff1d(sent, received).size
    doubled = received.size - np.unique(received).size
    total = DigestSum()
    for viewer in viewers:
        total += viewer.digests or DigestSum()
    equal = camera.digests is not None and total.value == camera.digests.value
    return Verdict(sent.size, received.size, lost, doubled, equal)
