"""Who has said that it will speak again, and has not; no socket, and the clock is the caller's."""

from __future__ import annotations

__all__ = ["Speakers"]

_PATIENCE = 3  # words that may be missing


class Speakers:
    """The publishers and proxies behind each connection, as one: any word says that the connection lives."""

    def __init__(self) -> None:
        self._due: dict[int, float] = {}

    def heard(self, connection: int, interval: float, now: float) -> None:
        """A word came on ``connection``; the next is promised within ``interval`` seconds, 0: there will be none."""
        if interval:
            self._due[connection] = now + _PATIENCE * interval
        else:
            self._due.pop(connection, None)

    def silent(self, now: float) -> list[int]:
        """Connections on which a word is overdue; they are forgotten."""
        overdue = [connection for connection, due in self._due.items() if due < now]
        for connection in overdue:
            del self._due[connection]
        return overdue
