"""Metadata of one array in which all but number, time and place in shared memory is as before, as it mostly is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Layout
from .descriptor import MOST_GENERATIONS, ONE_PREFIX, ONE_SIZE, SENDER_SIZE, Place, read_place, write_place
from .envelope import ENTRY_SIZE, FOREVER, MOST, NUMBERS_AT, Envelope, EnvelopeReader, read_numbers, write_numbers
from .framing import PAIR_HEAD, buffer_at
from .metadata import BODY, HEAD
from .plan import Plan

__all__ = ["Changes", "Repeat", "Repeats", "changed"]

_AT = BODY + NUMBERS_AT
_END = BODY + ENTRY_SIZE
_SENDER = _END + len(ONE_PREFIX)  # where the entry says in whose shared memory the array lies,
_PLACE = _SENDER + SENDER_SIZE  # and where there
_SHARED_END = _END + ONE_SIZE
_BLOB_AT, _BLOB_END = PAIR_HEAD + _AT, PAIR_HEAD + _END
_REMEMBERED = 256  # a peer that is another one with each message cannot fill memory
_LONGEST = 1024  # bytes of metadata

Changes = tuple[int, float, Place]
"""Number, time and place of a message that is like another one but for these."""


class Repeat:
    """What is the same in all these messages, and number and time of the last one."""

    __slots__ = (
        "_at",
        "_count",
        "_dtype",
        "_shape",
        "nbytes",
        "plan",
        "sender",
        "sent_at",
        "sequence",
        "size",
        "source",
    )

    def __init__(
        self, source: str, plan: Plan, layout: Layout, metadata: int, *, sender: bytes = b"", at: int = 0
    ) -> None:
        self.source, self.plan, self.nbytes = source, plan, plan.nbytes
        self.size = metadata + plan.nbytes
        """Bytes of metadata and array."""
        self.sender = sender
        """Whose shared memory it lies in, if it does."""
        self._dtype, self._shape = layout.dtype, None if len(layout.shape) == 1 else layout.shape
        self._at, self._count = at, plan.nbytes // layout.dtype.itemsize
        self.sequence, self.sent_at = 0, 0.0

    def renew(self, changes: Changes) -> bool:
        """Take over number and time from ``changes``; False if those, or the place, cannot be."""
        sequence, sent_at, (_, _, generation) = changes
        if not (-FOREVER < sent_at < FOREVER and sequence < MOST and 0 < generation < MOST_GENERATIONS):
            return False
        self.sequence, self.sent_at = sequence, sent_at
        return True

    def build(self, part: bytes | memoryview) -> np.ndarray[Any, Any]:
        """As :meth:`Layout.build`, for a part that holds ``nbytes`` from ``at`` on, which is aligned for any dtype."""
        flat = np.frombuffer(part, self._dtype, self._count, self._at)
        return flat if self._shape is None else flat.reshape(self._shape)

    def build_anywhere(self, part: memoryview) -> np.ndarray[Any, Any]:
        """As :meth:`build`, for a part wherever it lies; a copy where that is not aligned."""
        array = self.build(part)
        if not array.flags.aligned:
            array = self.plan.payload([part])
        return array


class Repeats:
    """The last layouts of the last sources."""

    def __init__(self) -> None:
        self._known: dict[bytes, Repeat] = {}
        self._buffers: dict[bytes, int] = {}
        """Where the buffer begins in blobs of one source and of the same lengths, by what they begin with."""
        # The last that was found, and between which bytes: to compare those takes less than to look it up.
        self._last: tuple[bytes, bytes, int, Repeat | None] = b"", b"", -1, None
        self._envelopes = EnvelopeReader(HEAD)

    def find_blob(self, blob: bytes) -> Repeat | None:
        """What ``blob``, a message in one part, repeats."""
        start, rest, size, repeat = self._last
        if repeat is None or not blob.startswith(start) or not blob.startswith(rest, _BLOB_END) or len(blob) != size:
            start = blob[:_BLOB_AT]
            buffer = self._buffers.get(start, 0)
            rest = blob[_BLOB_END:buffer]
            repeat = self._known.get(start + rest)
            if repeat is None or len(blob) - buffer != repeat.nbytes:
                return None
            self._last = start, rest, len(blob), repeat
        numbers = read_numbers(blob, _BLOB_AT)
        if numbers is None:
            return None
        repeat.sequence, repeat.sent_at = numbers
        return repeat

    def find(self, metadata: bytes) -> Repeat | None:
        """What ``metadata``, of a message with its buffers, repeats."""
        repeat = self._known.get(metadata[:_AT] + metadata[_END:])
        if repeat is None or repeat.sender:
            return None
        numbers = read_numbers(metadata, _AT)
        if numbers is None:
            return None
        repeat.sequence, repeat.sent_at = numbers
        return repeat

    def find_shared(self, metadata: bytes) -> tuple[Repeat, Place] | None:
        """What ``metadata`` of a message in shared memory repeats, and where all of its array lies."""
        repeat = self._known.get(metadata[:_AT] + metadata[_END:_PLACE] + metadata[_SHARED_END:])
        if repeat is None or not repeat.sender:
            return None
        numbers, place = read_numbers(metadata, _AT), read_place(metadata, _PLACE, repeat.nbytes)
        if numbers is None or place is None:
            return None
        repeat.sequence, repeat.sent_at = numbers
        return repeat, place

    def learn(self, metadata: bytes, envelope: Envelope | None, plan: Plan) -> None:
        """Remember how ``metadata`` was opened, if it may be repeated."""
        layout = plan.alone
        if envelope is None or layout is None or not may_repeat(plan):
            return
        if len(metadata) > _LONGEST or self._envelopes.split(metadata)[0] != envelope:
            return
        if plan.entries == metadata[0] - 1:
            self._remember(metadata[:_AT] + metadata[_END:], Repeat(envelope[0], plan, layout, len(metadata)))
        elif plan.entries == metadata[0] - 2 and metadata.startswith(ONE_PREFIX, _END):
            key = metadata[:_AT] + metadata[_END:_PLACE] + metadata[_SHARED_END:]
            sender = metadata[_SENDER:_PLACE]
            self._remember(key, Repeat(envelope[0], plan, layout, len(metadata), sender=sender))

    def learn_blob(self, blob: bytes, metadata: bytes, envelope: Envelope | None, plan: Plan) -> None:
        """As :meth:`learn`, for a ``blob`` of ``metadata`` and one buffer, as long as that says."""
        layout, buffer = plan.alone, buffer_at(len(metadata))
        if envelope is None or layout is None or not may_repeat(plan) or plan.entries != metadata[0] - 1:
            return
        if len(metadata) > _LONGEST or self._envelopes.split(metadata)[0] != envelope:
            return
        start = blob[:_BLOB_AT]
        if len(self._buffers) >= _REMEMBERED:
            self._buffers.clear()
        self._buffers[start] = buffer
        self._remember(start + blob[_BLOB_END:buffer], Repeat(envelope[0], plan, layout, len(metadata), at=buffer))

    def _remember(self, key: bytes, repeat: Repeat) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = repeat


def changed(metadata: bytes, changes: Changes) -> bytes:
    """The ``metadata`` of one array in shared memory, as our encoder writes it, with the ``changes`` made."""
    sequence, sent_at, place = changes
    return b"".join(
        (
            metadata[:_AT],
            write_numbers(sequence, sent_at),
            metadata[_END:_PLACE],
            where := write_place(place),
            metadata[_PLACE + len(where) :],
        )
    )


def may_repeat(plan: Plan) -> bool:
    """Whether it is of one array of some bytes, that needs no look at the elements and is C contiguous."""
    layout = plan.alone
    return layout is not None and layout.mirror is None and layout.order == "C" and plan.nbytes > 0
