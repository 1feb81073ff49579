"""The newest message of each topic, for a reader slower than its publishers; no socket, and the caller's clock."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Backlog", "Newest"]

T = TypeVar("T")


class Newest(Generic[T]):
    """One message a topic. The topic that has waited longest is the next to be taken."""

    def __init__(self) -> None:
        self._waiting: dict[str, T] = {}

    def put(self, topic: str, message: T) -> T | None:
        """Keep ``message``; the one that it takes the place of, if there is one."""
        replaced = self._waiting.get(topic)
        self._waiting[topic] = message
        return replaced

    def take(self) -> T | None:
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))


class Backlog:
    """Whether what comes in had queued up while this process stood still, or was too busy to look.

    Nothing is to be handed out then that was sent before, as long as newer ones are on their way. A message is of that
    backlog if it took longer than the fastest of its source by more than has passed since: that needs no clocks that
    agree, only such as run equally fast.
    """

    _PAUSE = 0.3  # seconds without a look, where looks are due every 0.1
    _QUIET = 0.1  # seconds without a message after which no newer ones seem to be on their way
    _SOURCES = 1024

    def __init__(self, now: float) -> None:
        self._fastest: dict[str, float] = {}
        self.looked_at = now
        self._resumed_at = now
        self._heard_at = now
        self.waits = False

    def look(self, now: float) -> None:
        """The socket is looked at, at ``now`` (seconds, monotonic)."""
        if now - self.looked_at > self._PAUSE:
            self.waits, self._resumed_at, self._heard_at = True, now, now
        elif self.waits and now - self._heard_at > self._QUIET:
            self.waits = False
        self.looked_at = now

    def is_overdue(self, now: float) -> bool:
        """Whether nobody has looked lately, so that what has been kept may be old."""
        return now - self.looked_at > self._PAUSE

    def note(self, source: str, sent_at: float, wall: float, now: float) -> None:
        """A message has come, at ``wall`` (seconds since 1970)."""
        delay = wall - sent_at
        fastest = self._fastest.get(source)
        if fastest is None:
            if len(self._fastest) >= self._SOURCES:
                del self._fastest[next(iter(self._fastest))]
            self._fastest[source] = fastest = delay
        elif delay < fastest:
            self._fastest[source] = fastest = delay
        if self.waits:
            self._heard_at = now
            self.waits = delay - fastest > now - self._resumed_at
