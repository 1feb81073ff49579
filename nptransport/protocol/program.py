"""What a publisher sends: messages numbered for each topic, ready for as many subscribers as there are; no socket."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..codec.arrays import Buffer
from ..codec.encoder import Encoder
from ..codec.envelope import EnvelopeWriter
from ..codec.metadata import ALONE, write_topic
from ..errors import EncodeError
from ..limits import Limits
from .loan import check_loan
from .outlets import Route
from .tags import LONGEST, Position

__all__ = ["Parcel", "Program", "Topic", "check_topic"]


class Parcel(NamedTuple):
    """A message without what stands in front of it for each subscriber."""

    topic: bytes
    frames: list[Any]
    """Metadata and buffers, the large ones as leases."""
    large: int
    """Bytes of the large ones."""
    lot: Any = None
    """Where the large ones are in shared memory, and not among the frames."""

    def own(self) -> Parcel:
        """The same, without memory of the caller's."""
        frames = [bytes(frame) if isinstance(frame, memoryview) else frame for frame in self.frames]
        return self._replace(frames=frames)


class Topic(Route):
    """What is the same for all messages on one topic."""

    __slots__ = ("following",)

    def __init__(self, name: bytes) -> None:
        super().__init__(name)
        self.following = 0
        """Sequence of the next message."""


class Program:
    """Topics of one publisher, and the encoder of its messages."""

    def __init__(self, limits: Limits) -> None:
        self.source = os.urandom(8).hex()
        self.topics: dict[str, Topic] = {}
        self._limits = limits
        self._encoder = Encoder(limits)
        self._envelope = EnvelopeWriter(self.source, ALONE)
        self.messages = 0
        self.nbytes = 0

    def topic(self, name: str) -> Topic:
        found = self.topics.get(name)
        if found is None:
            found = self.topics[name] = Topic(check_topic(name))
        return found

    def metadata_like_before(self, topic: Topic, payload: Any, now: float) -> bytes | None:
        """Metadata for an array that can be sent as it stands and has the layout of one sent before; else None."""
        body = self._encoder.body_like_before(payload) if type(payload) is np.ndarray else None
        if body is None:
            return None
        self._envelope.sequence = topic.following
        return self._envelope.metadata(now, body)

    def pack(self, topic: Topic, payload: Any, now: float) -> list[Buffer]:
        """Frames for the next message on ``topic``, sent ``now`` (seconds since 1970)."""
        self._envelope.sequence = topic.following
        return self._encoder.encode(payload, self._envelope.entry(now))

    def check_loan(self, shape: Any, dtype: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        """As :func:`check_loan`."""
        return check_loan(shape, dtype, self._limits)

    # What a distributor asks for

    @property
    def speaker(self) -> str:
        return self.source

    def under(self, prefix: bytes) -> Iterator[bytes]:
        return (topic.name for topic in self.topics.values() if topic.name.startswith(prefix))

    def positions(self, topic: bytes) -> list[Position]:
        name = topic.decode()
        return [Position(self.source, name, self.topics[name].following, 0)]

    def retained(self, topic: bytes) -> Iterable[Parcel]:
        retained = self.topics[topic.decode()].retained
        return [retained] if retained is not None else []

    def count(self, topic: Topic, nbytes: int) -> None:
        """A message of that size has been sent."""
        topic.following += 1
        self.messages += 1
        self.nbytes += nbytes


def check_topic(name: Any) -> bytes:
    """As :func:`write_topic`; EncodeError also if it is too long for publishers."""
    topic = write_topic(name)
    if len(topic) > LONGEST:
        raise EncodeError.at("topic", f"at most {LONGEST} bytes, found {len(topic)}")
    return topic
