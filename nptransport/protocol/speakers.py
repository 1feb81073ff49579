"""Who has said that it will speak again, and has not; no socket, and the clock is the caller's."""

from __future__ import annotations

__all__ = ["Speakers"]

_PATIENCE = 2  # intervals without a word after which a connection is doubted, for one more
_AWAY = 1.0  # seconds between two looks, which are due several times as often


class Speakers:
    """The publishers and proxies behind each connection, as one: any word says that the connection lives.

    A word waits in line behind messages, and is left out where there is no room for it, so that it does not come is no
    proof. Where one is overdue, the connection is doubted, and messages count as well from then on.
    """

    def __init__(self) -> None:
        self._due: dict[int, tuple[float, float]] = {}  # until when, and the interval
        self._looked = float("inf")
        self.doubted: set[int] = set()

    def heard(self, connection: int, interval: float, now: float) -> None:
        """A word came on ``connection``; the next is promised within ``interval`` seconds, 0: there will be none."""
        self.doubted.discard(connection)
        if interval:
            self._due[connection] = now + _PATIENCE * interval, interval
        else:
            self._due.pop(connection, None)

    def lives(self, connection: int | None, now: float) -> None:
        """A message came on ``connection``; to be told while there are any ``doubted``."""
        if connection is not None and connection in self.doubted:
            self.heard(connection, self._due[connection][1], now)

    def silent(self, now: float) -> list[int]:
        """Connections on which nothing came although they were doubted; they are forgotten."""
        if now - self._looked > _AWAY:  # we were away ourselves: what they said meanwhile is still to be read
            self._due = {each: (due + now - self._looked, interval) for each, (due, interval) in self._due.items()}
        self._looked = now
        overdue = [connection for connection, (due, _) in self._due.items() if due < now]
        silent = []
        for connection in overdue:
            if connection in self.doubted:
                self.doubted.discard(connection)
                del self._due[connection]
                silent.append(connection)
            else:
                interval = self._due[connection][1]
                self.doubted.add(connection)
                self._due[connection] = now + interval, interval
        return silent
