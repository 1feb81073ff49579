"""Where messages go: the way to each subscriber, and the ways that those on one topic take."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..memory.leases import Readings
from .tags import Kind, Mode, tag

__all__ = ["PATIENCE", "PATIENCE_EARNED", "Outlet", "Route"]

# Seconds that a publisher may wait for what one subscriber has read to come back, and what each message that found room
# adds to them. Whoever keeps up has them when the machine is busy; whoever does not has used them up.
PATIENCE = 0.1
PATIENCE_EARNED = 0.001

_LATEST_WAITING = 2  # one on its way, one behind it; what is newer than that is kept here and replaced by newer still
_FEW = 3  # messages: one on its way, and two that have been read and are coming back to us


class Outlet:
    """The way to one subscriber of ours; or, with ``number`` b"", to all plain ZeroMQ subscribers together."""

    def __init__(
        self,
        number: bytes,
        mode: Mode = Mode.QUEUE,
        prefixes: Counter[bytes] | None = None,
        expected: int = 0,
        self_tag: bytes = b"",
    ) -> None:
        self.number = number
        self.mode = mode
        self.expected = expected
        """Number of prefixes that it has announced to ask for."""
        self.self_tag = self_tag
        self.copy_tag = tag(Kind.COPY, number) if number else b""
        self.prefixes: Counter[bytes] = Counter() if prefixes is None else prefixes
        self.connections: list[int | None] = []
        """That it has come on: one, or two for a while if the first was cut without a word."""
        self.sent = 0
        self.dropped_for_messages = 0
        self.dropped_for_bytes = 0
        self.replaced = 0
        self.parted = False
        """Whether it has had the last word."""
        self.waiting = Readings()
        """Large messages that ZeroMQ holds for it."""
        self._returned = 0
        self.patience = PATIENCE
        self.behind: dict[bytes, Any] = {}
        """With Mode.LATEST, what is to be sent once there is room: the newest of each topic."""
        self.untold: set[bytes] = set()
        """Topics whose last message was dropped, of which the subscriber has yet to hear."""

    @property
    def is_latest(self) -> bool:
        return self.mode is Mode.LATEST

    def wants(self, topic: bytes) -> bool:
        return any(topic.startswith(prefix) for prefix in self.prefixes)

    def has_room(self, nbytes: int, free: int, share: int) -> bool:
        """Whether a large message may wait for it.

        Nobody may have more waiting than half of what is left free: the dynamic threshold of shared-memory switches
        (Choudhury and Hahne, IEEE/ACM Transactions on Networking 6, 1998). Whoever is stuck fills up to a part, and the
        others go on.

        Args:
            free: what is left of all bytes that may wait.
            share: what each may have in any case, for a few messages, as long as some is left.
        """
        # Within one process, what the reader holds on to is still ours, and taking a message in costs nothing.
        if self.is_latest and self.waiting.messages >= _LATEST_WAITING and None not in self.connections:
            return False
        waits, held = self.waiting.messages, self.waiting.held
        allowed = max(free // 2, share if waits + held < _FEW else 0)
        # Who reads one after the other holds the last one until the next has come.
        return self.waiting.nbytes + nbytes <= allowed or (not waits and held <= 1)

    def progresses(self) -> bool:
        """Whether it has read something since this was asked last: then more may be on its way back to us."""
        before, self._returned = self._returned, self.waiting.returned
        return self._returned > before


class Route:
    """Where the messages on one topic go."""

    __slots__ = ("heads", "name", "outlets", "plain", "retained", "version")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.outlets: list[Outlet] = []
        self.heads: list[bytes] = []
        """What the copy for each outlet begins with."""
        self.plain = False
        """Whether a plain ZeroMQ subscriber wants it, too."""
        self.retained: Any = None
        """What somebody who comes now is to get at once: a Parcel, if there is something."""
        self.version = -1
