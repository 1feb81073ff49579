"""A received message, and what an endpoint tells of its own doings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..envelope import Envelope

__all__ = ["ConsumerStatistics", "Message", "ProducerStatistics"]


class Message(NamedTuple):
    """A payload and what came with it. What the sender did not write, as with :func:`send_array`, is None."""

    payload: Any
    topic: str | None
    """The text in front of the message, which subscribers choose by."""
    sequence: int | None
    """0 for the source's first message, then one more each."""
    sent_at: float | None
    """Seconds since 1970 on the sender's clock."""
    source: str | None
    """Unique to one endpoint's life: a restart is another source."""
    nbytes: int
    """Bytes of all parts, the metadata included."""

    @classmethod
    def of(cls, payload: Any, topic: str | None, envelope: Envelope | None, nbytes: int) -> Message:
        source, sequence, sent_at = envelope or (None, None, None)
        return cls(payload, topic, sequence, sent_at, source, nbytes)


@dataclass(frozen=True)
class ProducerStatistics:
    """What a producer has done so far."""

    messages: int
    """Messages that ``send`` accepted."""
    nbytes: int
    """Their bytes, metadata included."""
    bytes_in_flight: int
    """Bytes of large arrays that have not left this process yet."""
    connections: int
    """Consumers connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed. What was on its way to that consumer may be lost; a
    consumer that sees all of a source's messages counts how many."""


@dataclass(frozen=True)
class ConsumerStatistics:
    """What a consumer has seen so far."""

    messages: int
    """Messages handed out."""
    nbytes: int
    """Their bytes, metadata included."""
    missed: int
    """Gaps in the sequences of the sources, added up: messages sent since this consumer's first from that source that
    did not come. Lost, or gone to another consumer, if the producer has several."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    connections: int
    """Producers connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed."""
