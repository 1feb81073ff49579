"""The newest message of each topic, for a reader slower than its publishers; no socket, and the caller's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Backlog", "Newest"]

T = TypeVar("T")

_TOPICS = 1024  # kept at a time; a peer with a new topic for each message cannot fill memory


class Newest(Generic[T]):
    """One message a topic. The topic that has waited longest is the next to be taken."""

    def __init__(self) -> None:
        self._waiting: dict[str, T] = {}

    def put(self, topic: str, message: T) -> T | None:
        """Keep ``message``; the one whose place it takes, if there is one: of its topic, or of too many topics."""
        passed_over = self._waiting.get(topic)
        if passed_over is None and len(self._waiting) >= _TOPICS:
            passed_over = self._waiting.pop(next(iter(self._waiting)))
        self._waiting[topic] = message
        return passed_over

    def take(self, may_go: Callable[[T], bool]) -> T | None:
        """The first that may go, taken out."""
        for topic, message in self._waiting.items():
            if may_go(message):
                return self._waiting.pop(topic)
        return None


class Backlog:
    """Whether what comes in had queued up while this process stood still, or was too busy to look.

    Nothing is to be handed out then that was sent before, as long as newer ones of its source are on their way. A
    message is of that backlog if it took longer than the fastest of its source by more than has passed since. That
    needs no clocks that agree, only such as run equally fast; a clock that was set is a matter of a minute.
    """

    _PAUSE = 0.3  # seconds without a look, where looks are due every 0.1
    _QUIET = 0.5  # seconds without a message, on a busy machine too, after which no newer ones seem to be on their way
    _MOST = 2.0  # seconds for which anything is held back
    _WINDOW = 30.0  # seconds after which the fastest is another
    _SOURCES = 1024

    def __init__(self, now: float) -> None:
        self._fastest: dict[str, tuple[float, float, float]] = {}  # least delay lately, in the window before, its start
        self._looked_at = now
        self._resumed_at = now - self._MOST
        self._current: set[str] = set()  # sources that have caught up
        self._heard: dict[str, float] = {}

    def look(self, now: float) -> bool:
        """The socket is looked at, at ``now`` (seconds, monotonic); whether something may be held back."""
        if self.is_overdue(now):
            self._resumed_at = now
            self._current.clear()
            self._heard.clear()
        self._looked_at = now
        return now - self._resumed_at < self._MOST + self._PAUSE

    def is_overdue(self, now: float) -> bool:
        """Whether nobody has looked lately, so that what has been kept may be old."""
        return now - self._looked_at > self._PAUSE

    def holds(self, source: str, now: float) -> bool:
        """Whether newer messages of ``source`` are on their way, and what there is of it had queued up."""
        if source in self._current or now - self._resumed_at >= self._MOST:
            return False
        return now - self._heard.get(source, self._resumed_at) <= self._QUIET

    def note(self, source: str, delay: float, now: float) -> None:
        """A message has come that took ``delay`` seconds by the clocks of both sides."""
        lately, before, since = self._fastest.get(source, (delay, delay, now))
        if now - since > self._WINDOW:
            lately, before, since = delay, lately, now
        if source not in self._fastest and len(self._fastest) >= self._SOURCES:
            del self._fastest[next(iter(self._fastest))]
        lately = min(lately, delay)
        self._fastest[source] = lately, before, since
        if now - self._resumed_at < self._MOST:
            self._heard[source] = now
            if delay - min(lately, before) <= now - self._resumed_at:
                self._current.add(source)
