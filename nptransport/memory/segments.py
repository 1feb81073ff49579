"""Segments of shared memory, each of slots that are equally large.

    0         magic, bytes of a slot, number of slots
    64        for each slot: generation of the message in it, 0 while there is none; bytes that it uses
    4096      the slots, one behind the other

Only its owner can write to it.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import MemoryLost
from .memfd import allocate, attach, forged

__all__ = ["HEADER", "MOST_SLOTS", "Mapping", "Segment"]

HEADER = 4096
_MAGIC = b"npt-shm\x01"
_GEOMETRY = struct.Struct("<8sQQ")
_STAMP = struct.Struct("<QQ")
_STAMPS = 64
MOST_SLOTS = (HEADER - _STAMPS) // _STAMP.size

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Segment:
    """The owner's side: ``slots`` pieces of ``slot_bytes`` each, to write into.

    Raises:
        TransportError: there is not so much memory.
    """

    def __init__(self, number: int, slot_bytes: int, slots: int) -> None:
        self.number = number
        self.slot_bytes, self.slots = slot_bytes, slots
        self.nbytes = slot_bytes * slots
        self.descriptor, self._map = allocate(HEADER + self.nbytes)
        with contextlib.suppress(OSError, AttributeError):
            self._map.madvise(mmap.MADV_HUGEPAGE)
        _GEOMETRY.pack_into(self._map, 0, _MAGIC, slot_bytes, slots)
        self._bytes: Bytes = np.frombuffer(self._map, np.uint8)

    def slot(self, index: int) -> Bytes:
        start = HEADER + index * self.slot_bytes
        return self._bytes[start : start + self.slot_bytes]

    def stamper(self, index: int) -> Callable[[int, int], None]:
        """Says which message is in a slot, by generation and bytes; or with 0 and 0 that there is none any more."""
        return functools.partial(_STAMP.pack_into, self._map, _STAMPS + index * _STAMP.size)

    def close(self) -> None:
        """Let go of it: the memory is freed once nobody else maps it."""
        os.close(self.descriptor)
        del self._bytes, self._map


class Mapping:
    """A reader's side, which nobody in this process can write to.

    Raises:
        DecodeError: ``descriptor`` is no segment that cannot shrink, or not all there.
    """

    def __init__(self, descriptor: int) -> None:
        self._map = attach(descriptor)
        if len(self._map) <= HEADER:
            raise forged(f"more than {HEADER} bytes", f"{len(self._map)}")
        magic, self._slot_bytes, self._slots = _GEOMETRY.unpack_from(self._map, 0)
        wanted = HEADER + self._slot_bytes * self._slots
        if magic != _MAGIC or self._slots > MOST_SLOTS or wanted != len(self._map):
            raise forged(f"{len(self._map)} bytes", f"{self._slots} slots of {self._slot_bytes}")
        self._bytes: Bytes = np.frombuffer(self._map, np.uint8)

    def read(self, index: int, generation: int) -> Bytes:
        """The bytes of the message in a slot. DecodeError if it is not the one of that ``generation``.

        Each call gives another array: that one has gone shows that nobody looks at the message any more.
        """
        if index >= self._slots:
            raise forged(f"a slot below {self._slots}", f"{index}")
        found, used = _STAMP.unpack_from(self._map, _STAMPS + index * _STAMP.size)
        if found != generation or used > self._slot_bytes:
            raise MemoryLost.of(
                "shared memory",
                expected=f"message {generation} in its slot",
                found=f"message {found}: it is stale, or was never sent",
            )
        start = HEADER + index * self._slot_bytes
        return self._bytes[start : start + used]
