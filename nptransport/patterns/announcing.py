"""What a publisher or a proxy tells subscribers besides messages: that it is there, and where its streams stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from ..protocol.audience import Audience
from ..protocol.outlets import Outlet, Route
from ..protocol.program import Parcel
from ..protocol.tags import Position, Word
from ..transport.channel import Channel

__all__ = ["Announcer", "Repertoire"]

BEAT = 0.5  # seconds between two words to a subscriber, which takes three times that in silence for a dead connection
_POSITIONS = 500  # in one word
_GREETED = 4096  # remembered


class Repertoire(Protocol):
    """What there is to be heard."""

    @property
    def speaker(self) -> str:
        """Unique to the life of the publisher or proxy."""

    def under(self, prefix: bytes) -> Iterable[bytes]:
        """The topics that begin with ``prefix``."""

    def positions(self, topic: bytes) -> Iterable[Position]:
        """Where the streams on ``topic`` stand."""

    def retained(self, topic: bytes) -> Iterable[Parcel]:
        """What somebody who comes to ``topic`` now is to get at once."""


class Announcer:
    """Tells each outlet where the streams stand that it has yet to hear of."""

    def __init__(self, channel: Channel, audience: Audience, repertoire: Repertoire) -> None:
        self._channel, self._audience, self._repertoire = channel, audience, repertoire
        self._greeted: dict[tuple[bytes, bytes], None] = {}  # who came once, and may come again on another connection
        self.due = 0.0
        """When everybody is to hear something."""

    def greet(self, outlet: Outlet, prefix: bytes, topics: Iterable[bytes]) -> None:
        """``outlet`` wants ``prefix``, under which there are ``topics``, and has what is retained of them."""
        outlet.untold.update(topics)
        newcomer = (outlet.number, prefix) not in self._greeted
        self._greeted[outlet.number, prefix] = None
        if len(self._greeted) > _GREETED:
            del self._greeted[next(iter(self._greeted))]
        self._tell(outlet, newcomer=newcomer)

    def announce(self, route: Route) -> None:
        """Those whom ``route`` leads to are to hear where its streams stand, though no message came."""
        self._audience.direct(route)
        for outlet in route.outlets:
            outlet.untold.add(route.name)

    def beat(self, now: float) -> None:
        """A word to everybody."""
        self.due = now + BEAT
        for outlet in self._audience.outlets.values():
            if outlet.untold or None not in outlet.connections:  # within a process nobody falls silent
                self._tell(outlet)

    def part(self, outlet: Outlet) -> None:
        """The last word to ``outlet``, if there is room for it: where each stream ends."""
        for prefix in outlet.prefixes:
            outlet.untold.update(self._repertoire.under(prefix))
        outlet.parted = self._tell(outlet, interval=0)

    def _tell(self, outlet: Outlet, *, newcomer: bool = False, interval: float = BEAT) -> bool:
        """Say where the streams stand of which ``outlet`` has yet to hear; False if there is no room for that.

        ``newcomer``: streams that it knows nothing of begin here, for it.
        """
        topics = [topic for topic in outlet.untold if topic not in outlet.behind]
        for positions in self._chunks(topics):
            if newcomer:
                positions = [position._replace(first=position.following) for position in positions]
            word = Word(self._repertoire.speaker, interval, positions)
            if not self._channel.try_send([outlet.self_tag, word.pack()]):
                return False
        outlet.untold.difference_update(topics)
        return True

    def _chunks(self, topics: list[bytes]) -> Iterator[list[Position]]:
        """Where ``topics`` stand, a word's worth each time; one that is empty where there is nothing to say."""
        positions = [position for topic in topics for position in self._repertoire.positions(topic)]
        for start in range(0, max(len(positions), 1), _POSITIONS):
            yield positions[start : start + _POSITIONS]
