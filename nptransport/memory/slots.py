"""Warm slots in shared memory, held to a budget: taken up again once nobody reads what is in them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .receipts import PLACES, WORDS
from .segments import MOST_SLOTS, Segment

__all__ = ["Slot", "Slots", "size_of"]

_PAGE = 4096
_LARGER = 1.25  # times what is asked for: a slot that is larger is not taken
_SLACK = 32  # the budget may be exceeded by a part of this, since slots are whole pages
_SEGMENT = 2**22  # small slots share a segment of about that size: each segment costs two file descriptors


class Slot:
    """A place for one message."""

    __slots__ = ("array", "entry", "generation", "index", "place", "segment", "stamp_memory", "typed", "used")

    def __init__(self, segment: Segment, index: int, place: int) -> None:
        self.segment, self.index = segment, index
        self.array: np.ndarray[Any, Any] = segment.slot(index)
        self.stamp_memory = segment.stamper(index)
        self.place = place
        """In the receipts of readers; 0 without one."""
        self.entry = b""
        """What whoever uses it keeps with it."""
        self.generation = 0
        """Of the last message in it, also when no reader is to find it there any more."""
        self.typed = self.array
        """The last view that was asked for."""
        self.used = 0
        """Bytes of that message."""

    def fill(self, buffer: bytes | memoryview, offset: int) -> None:
        """Copy ``buffer`` to ``offset``; lets other threads run meanwhile."""
        np.copyto(self.array[offset : offset + len(buffer)], np.frombuffer(buffer, np.uint8))

    def like(self, dtype: np.dtype[Any], shape: tuple[int, ...], nbytes: int) -> np.ndarray[Any, Any]:
        """The beginning as a C contiguous array; the same one as long as the like is asked for."""
        typed = self.typed
        if typed.dtype is not dtype or typed.shape != shape:
            typed = self.typed = self.array[:nbytes].view(dtype).reshape(shape)
        return typed

    def stamp(self, generation: int, used: int) -> None:
        self.generation, self.used = generation, used
        self.stamp_memory(generation, used)


class Slots:
    """Slots of all sizes, in segments that together take ``max_bytes`` at the most, or hold two messages."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.extra = 0
        """Bytes that may be taken beside."""
        self.nbytes = 0
        """Bytes of all segments."""
        self.segments: dict[int, Segment] = {}
        self._free: dict[int, list[Slot]] = {}  # by size; the one that came back last, and so is the warmest, last
        self._count: dict[int, int] = {}  # free slots of each segment
        self._numbers = 0
        self._places = PLACES  # the first that was never used
        self._left: list[int] = []  # places of slots that there are no more

    @property
    def in_use(self) -> int:
        """Bytes of the slots that are not free."""
        return self.nbytes - sum(size * len(slots) for size, slots in self._free.items())

    def pop(self, nbytes: int) -> Slot | None:
        """A free slot that is large enough and not much larger; None without one."""
        size = size_of(nbytes)
        free = self._free.get(size)
        if not free:
            fitting = [each for each, slots in self._free.items() if slots and size < each <= size * _LARGER]
            if not fitting:
                return None
            free = self._free[min(fitting)]
        slot = free.pop()
        self._count[slot.segment.number] -= 1
        return slot

    def push(self, slot: Slot) -> None:
        """``slot`` is free."""
        segment = slot.segment
        self._free[segment.slot_bytes].append(slot)
        self._count[segment.number] += 1

    def grow(self, nbytes: int, *, one_more: bool = False) -> tuple[Segment | None, list[Slot]]:
        """A new segment with free slots for ``nbytes`` if there is room for one, and the slots of those given up for
        that. ``one_more``: there is, if no more than one of that size is in use."""
        size = size_of(nbytes)
        gone: list[Slot] = []
        most = self.max_bytes + self.max_bytes // _SLACK
        room = (max(most, 2 * size) if one_more else most) + self.extra - self.nbytes
        if room < size:
            for segment in [each for each in self.segments.values() if self._is_idle(each)]:
                gone += self._drop(segment)
                room += segment.nbytes
                if room >= size:
                    break
        if room < size and self.segments:
            return None, gone
        share = min(_SEGMENT, self.max_bytes // _SLACK)  # or a few small ones that are held would keep all of it
        count = max(1, min(share // size, room // size, MOST_SLOTS))
        segment = Segment(self._numbers, size, count)
        self._numbers += 1
        self.nbytes += segment.nbytes
        self.segments[segment.number] = segment
        self._count[segment.number] = 0
        self._free.setdefault(size, [])
        for index in reversed(range(count)):
            self.push(Slot(segment, index, self._take_place()))
        return segment, gone

    def _take_place(self) -> int:
        if self._left:
            return self._left.pop()
        if self._places == WORDS:
            return 0
        self._places += 1
        return self._places - 1

    def _is_idle(self, segment: Segment) -> bool:
        return self._count[segment.number] == segment.slots

    def _drop(self, segment: Segment) -> list[Slot]:
        del self.segments[segment.number], self._count[segment.number]
        self.nbytes -= segment.nbytes
        free = self._free[segment.slot_bytes]
        gone = [slot for slot in free if slot.segment is segment]
        free[:] = [slot for slot in free if slot.segment is not segment]
        self._left += [slot.place for slot in gone if slot.place]
        segment.close()
        return gone

    def close(self) -> None:
        for segment in list(self.segments.values()):
            segment.close()
        self.segments.clear()
        self._free.clear()
        self.nbytes = 0


@functools.lru_cache(256)
def size_of(nbytes: int) -> int:
    """Bytes of the slots that ``nbytes`` go into: whole pages, and 64 sizes from each power of two to the next."""
    step = max(_PAGE, 1 << max(0, (nbytes - 1).bit_length() - 7))
    return max(1, -(-nbytes // step)) * step
