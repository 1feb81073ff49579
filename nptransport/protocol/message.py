"""A received message."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..codec.envelope import Envelope

__all__ = ["Message"]


class Message(NamedTuple):
    """A payload and what came with it. What the sender did not give, as :func:`send_array`, is None."""

    payload: Any
    topic: str | None
    """The str in front of the message, by which subscribers select."""
    sequence: int | None
    """Number of the message, counted from 0 for each source, and by a publisher for each of its topics."""
    sent_at: float | None
    """Seconds since 1970 on the sender's clock."""
    source: str | None
    """Identifies the endpoint that sent it; one that is restarted is another source."""
    nbytes: int
    """Bytes of all parts, the metadata included."""

    @classmethod
    def of(cls, payload: Any, topic: str | None, envelope: Envelope | None, nbytes: int) -> Message:
        """The message of what was received."""
        source, sequence, sent_at = envelope or (None, None, None)
        return cls(payload, topic, sequence, sent_at, source, nbytes)
