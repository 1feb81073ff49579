"""A received message."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..codec.envelope import Envelope

__all__ = ["Message"]


class Message(NamedTuple):
    """A payload and what came with it. What the sender did not write, as with :func:`send_array`, is None."""

    payload: Any
    topic: str | None
    """The text in front of the message, which subscribers choose by."""
    sequence: int | None
    """0 for the source's first message, for a publisher's first on the topic; then one more each."""
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
