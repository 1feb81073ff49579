"""What an operation waits for, and until when: the part of waiting that knows no socket."""

from __future__ import annotations

import enum
import select
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from ..errors import Timeout

__all__ = ["LOOK", "MOMENT", "PATIENCE", "STOOD_STILL", "Deadline", "Need", "Steps", "wait_for"]

T = TypeVar("T")

LOOK = 0.01  # seconds between two looks at what nothing, or not every change of it, is announced
MOMENT = 5e-5  # seconds: the shortest that the system can sleep takes about twice as long
PATIENCE = 0.003  # seconds that a warm buffer is worth: what it takes to touch 8 MB of fresh memory

STOOD_STILL = 0.5  # seconds between two looks, beyond what it sleeps, after which silence is nobody's fault but its own


class Need(enum.Enum):
    """What has to come about before an operation can go on."""

    READABLE = "a message"
    WRITABLE = "room at the other side"
    RELEASED = "memory that is still in use"
    WARM = "a reused buffer"
    FETCHED = "a moment"
    SUBSCRIBED = "subscribers"
    SETTLED = "the last bytes to leave"


Steps = Generator[Need, None, T]
"""An operation: yields what it needs, goes on once that may be there, and returns its result."""


class Deadline:
    """The end of ``timeout`` seconds (None: no end).

    Args:
        situation: says, for the error, whose deadline it was and how things stand.
        waited: seconds of them that have passed already.
    """

    def __init__(self, timeout: float | None, situation: Callable[[str], str], waited: float = 0.0) -> None:
        self._timeout = timeout
        self._situation = situation
        self._at = None if timeout is None else time.monotonic() + timeout - waited

    def at_most(self, seconds: float) -> float:
        """``seconds``, or what is left if that is less."""
        return seconds if self._at is None else min(seconds, max(0.0, self._at - time.monotonic()))

    def left(self, need: Need) -> float | None:
        """Seconds left, None if there is no end; Timeout once it has passed."""
        if self._at is None or self._timeout is None:
            return None
        left = self._at - time.monotonic()
        if not left > 0:  # nor if it is no number
            raise Timeout(self._situation(f"waited {self._timeout:g} s for {need.value}"), seconds=self._timeout)
        return left


def wait_for(descriptor: int, seconds: float, *, writable: bool = False) -> None:
    """Return when there is something to read from ``descriptor``, or room to write to it, or after ``seconds``."""
    poll = select.poll()  # not select(): descriptors may be beyond its 1024
    poll.register(descriptor, select.POLLOUT if writable else select.POLLIN)
    poll.poll(max(1, int(seconds * 1000)))
