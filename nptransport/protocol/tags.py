"""What subscribers and publishers of ours say to each other: subscriptions that no text can be.

ZeroMQ's subscriptions go from a subscriber to every publisher, through any number of proxies, and are withdrawn when
the subscriber dies. So they carry what a publisher has to know. Beside each prefix P that it wants, a subscriber with
the number I (8 random bytes) subscribes to

    FF 21 I M N  "!": here am I, of mode M, and ask for N prefixes (2 bytes, big-endian); messages with this topic are
                 words to me alone (:class:`Word`)
    FF 3D I P    "=": my copy of a message with a topic that begins with P is to have FF 3D I in front (copies.py)
    FF 3F I P    "?": a subscriber behind a proxy wants P; nothing is sent here, it is only counted

FF never occurs in UTF-8, and so in no topic.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from ..codec import packing
from ..codec.envelope import MOST
from ..codec.metadata import VERSION
from ..errors import DecodeError
from ..limits import DEFAULT_LIMITS

__all__ = [
    "LEAD",
    "LONGEST",
    "Hello",
    "Kind",
    "Mode",
    "Position",
    "Word",
    "is_tagged",
    "is_too_long",
    "read_tag",
    "self_tag",
    "tag",
]

LEAD = 0xFF
LONGEST = 4096
"""Bytes of a topic, and of a prefix that can be subscribed to. libzmq 4.3 keeps a node for each byte and takes them
down one inside the other: its stack ends, and with it the process, somewhere above 50,000."""
NUMBER_BYTES = 8
_HEAD = 2 + NUMBER_BYTES


class Kind(enum.IntEnum):
    """The second byte."""

    SELF = 0x21
    COPY = 0x3D
    BEHIND = 0x3F


class Mode(enum.IntEnum):
    """What a subscriber wants when it cannot keep up."""

    QUEUE = 0x71  # q: what has been queued, in order; what has not is dropped
    LATEST = 0x6C  # l: the newest of each topic
    RELAY = 0x72  # r: as a queue; it is a proxy and no subscriber


class Hello(NamedTuple):
    """A tag taken apart."""

    kind: Kind
    number: bytes
    rest: bytes


class Position(NamedTuple):
    """Where a stream stands: ``following`` is the sequence of the next message of ``source`` on ``topic``."""

    source: str
    topic: str
    following: int
    first: int
    """Where the stream began for who has been listening and knows nothing of it yet."""


class Word(NamedTuple):
    """What a publisher, or a proxy, says to one subscriber: that it is there, and where its streams stand."""

    speaker: str
    """Unique to the life of the publisher or proxy."""
    interval: float
    """Seconds within which it will speak again; 0: it has closed."""
    positions: list[Position]

    def pack(self) -> bytes:
        return packing.pack({"npt": VERSION, "word": [self.speaker, self.interval, [list(p) for p in self.positions]]})

    @classmethod
    def unpack(cls, document: bytes) -> Word:
        """The word, or DecodeError."""
        try:
            values = packing.unpack(document, DEFAULT_LIMITS)
            version = values["npt"]
            if type(version) is not int or version != VERSION:
                raise _malformed(f"version {version!r:.40}")
            speaker, interval, positions = values["word"][:3]
            word = cls(speaker, float(interval), [_position(*position) for position in positions])
        except DecodeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a peer made of it
            raise _malformed(f"{type(error).__name__}: {error}") from None
        if not _is_name(speaker) or not 0 <= word.interval <= 3600:
            raise _malformed(f"{speaker!r:.40}, {interval!r:.40}")
        for source, topic, following, first in word.positions:
            fits = type(following) is type(first) is int and 0 <= first <= following <= MOST
            if not _is_name(source) or type(topic) is not str or len(topic) > LONGEST or not fits:
                raise _malformed(f"{source!r:.40}, {topic!r:.40}, {following!r:.40}, {first!r:.40}")
        return word


def _position(source: Any, topic: Any, following: Any, first: Any = None, *later: object) -> Position:
    return Position(source, topic, following, following if first is None else first)


def _malformed(found: str) -> DecodeError:
    expected = "[speaker, interval, [[source, topic, following, first], ...]]"
    return DecodeError.of("word of a publisher", expected=expected, found=found)


def _is_name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= 64


def tag(kind: Kind, number: bytes, rest: bytes = b"") -> bytes:
    return bytes((LEAD, kind)) + number + rest


def self_tag(number: bytes, mode: Mode, prefixes: int) -> bytes:
    return tag(Kind.SELF, number, bytes([mode]) + min(prefixes, 0xFFFF).to_bytes(2, "big"))


def is_too_long(subscription: bytes) -> bool:
    return len(subscription) > LONGEST + (_HEAD if is_tagged(subscription) else 0)


def is_tagged(topic: bytes) -> bool:
    return topic[:1] == b"\xff"


def read_tag(topic: bytes) -> Hello | None:
    """``topic`` taken apart; None if it is no tag that this version knows."""
    if len(topic) < _HEAD or topic[0] != LEAD or topic[1] not in (Kind.SELF, Kind.COPY, Kind.BEHIND):
        return None
    return Hello(Kind(topic[1]), topic[2:_HEAD], topic[_HEAD:])
