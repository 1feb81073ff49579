"""Metadata of one small array in which all but the number and the time is as before: that of most small messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Layout
from .codec import BODY, HEAD, Plan
from .envelope import ENTRY_SIZE, NUMBERS_AT, Envelope, EnvelopeReader, read_numbers

__all__ = ["Repeat", "Repeats"]

_AT = BODY + NUMBERS_AT
_END = BODY + ENTRY_SIZE
_REMEMBERED = 256  # a peer that is another one with each message cannot fill memory
_LARGEST = 32 * 1024  # bytes of an array; what a short cut saves is nothing to those of larger ones
_LONGEST = 1024  # bytes of metadata


class Repeat:
    """What is the same in all these messages, and number and time of the last one."""

    __slots__ = ("_dtype", "_shape", "nbytes", "plan", "sent_at", "sequence", "source")

    def __init__(self, source: str, plan: Plan, layout: Layout) -> None:
        self.source, self.plan, self.nbytes = source, plan, plan.nbytes
        self._dtype, self._shape = layout.dtype, None if len(layout.shape) == 1 else layout.shape
        self.sequence, self.sent_at = 0, 0.0

    def build(self, part: bytes) -> np.ndarray[Any, Any]:
        """As :meth:`Layout.build`, for a part of ``nbytes``; as bytes it is aligned for any dtype."""
        flat = np.frombuffer(part, self._dtype)
        return flat if self._shape is None else flat.reshape(self._shape)


class Repeats:
    """The last layouts of the last sources."""

    def __init__(self) -> None:
        self._known: dict[bytes, Repeat] = {}
        self._envelopes = EnvelopeReader(HEAD)

    def find(self, metadata: bytes) -> Repeat | None:
        """What ``metadata`` repeats."""
        repeat = self._known.get(metadata[:_AT] + metadata[_END:])
        if repeat is not None:
            numbers = read_numbers(metadata, _AT)
            if numbers is None:
                return None
            repeat.sequence, repeat.sent_at = numbers
        return repeat

    def learn(self, metadata: bytes, envelope: Envelope | None, plan: Plan) -> None:
        """Remember how ``metadata`` was opened, if it may be repeated, and its array needs no look at the elements."""
        layout = plan.alone
        if envelope is None or layout is None or layout.mirror is not None or layout.order != "C":
            return
        fits = 0 < plan.nbytes <= _LARGEST and len(metadata) <= _LONGEST and plan.entries == metadata[0] - 1
        if fits and self._envelopes.split(metadata)[0] == envelope:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[metadata[:_AT] + metadata[_END:]] = Repeat(envelope[0], plan, layout)
