"""Copies for one subscriber in which all but number, time and content is as before: a small array on a topic."""

from __future__ import annotations

from ..codec.arrays import Layout
from ..codec.envelope import ENTRY_SIZE, NUMBERS_AT, Envelope, EnvelopeReader, read_numbers
from ..codec.metadata import BODY, HEAD
from ..codec.plan import Plan
from ..codec.repeats import Repeat, may_repeat
from ..errors import DecodeError
from .copies import END, LENGTH_BYTES, read

__all__ = ["RepeatedCopies", "RepeatedCopy"]

_REMEMBERED = 256  # a peer that is another one with each message cannot fill memory
_LONGEST = 1024  # bytes before the array


class RepeatedCopy(Repeat):
    """What is the same in all of these, and number and time of the last one."""

    __slots__ = ("topic",)

    def __init__(self, source: str, plan: Plan, layout: Layout, topic: str, metadata: int) -> None:
        super().__init__(source, plan, layout, metadata)
        self.topic = topic


class RepeatedCopies:
    """The last layouts of the last sources and topics.

    Args:
        start: what each copy for this subscriber begins with.
    """

    def __init__(self, start: bytes) -> None:
        self._start, self._topic_at = start, len(start)
        self._known: dict[bytes, RepeatedCopy] = {}
        self._envelopes = EnvelopeReader(HEAD)

    def find(self, first: bytes) -> tuple[RepeatedCopy, bytes] | None:
        """What a copy of one part repeats, and the bytes of its array."""
        metadata_at = first.find(END, self._topic_at) + 1 + LENGTH_BYTES
        array_at = metadata_at + int.from_bytes(first[metadata_at - LENGTH_BYTES : metadata_at], "big")
        numbers_at = metadata_at + BODY + NUMBERS_AT
        repeat = self._known.get(first[:numbers_at] + first[metadata_at + BODY + ENTRY_SIZE : array_at])
        # As long before the array as one before, and as long in all: so nothing is read beyond it.
        if repeat is None or len(first) - array_at != repeat.nbytes:
            return None
        numbers = read_numbers(first, numbers_at)
        if numbers is None:
            return None
        repeat.sequence, repeat.sent_at = numbers
        return repeat, first[array_at:]

    def learn(self, first: bytes, topic: str, envelope: Envelope | None, plan: Plan, size: int) -> None:
        """Remember how a copy of ``size`` bytes was opened, if it may be repeated."""
        if envelope is None or plan.alone is None or not may_repeat(plan) or not first.startswith(self._start):
            return
        try:
            _, metadata, buffer = read(first, self._topic_at)
        except DecodeError:
            return
        if buffer is None or plan.entries != metadata[0] - 1 or self._envelopes.split(metadata)[0] != envelope:
            return
        before = first[: len(first) - len(buffer)]
        if len(before) > _LONGEST:
            return
        numbers_at = len(before) - len(metadata) + BODY + NUMBERS_AT
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        key = before[:numbers_at] + before[len(before) - len(metadata) + BODY + ENTRY_SIZE :]
        self._known[key] = RepeatedCopy(envelope[0], plan, plan.alone, topic, size - plan.nbytes)
