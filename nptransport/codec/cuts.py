"""Large buffers in several parts.

libzmq takes the memory of each part from malloc. Above 32 MB glibc takes a block from the system each time and gives it
back, and to touch every page of it anew takes several times as long as to receive it. What comes in parts of a few
megabytes is copied, while it is in the processor's cache, into a buffer that was used before, and the parts' own memory
is taken again by those that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DecodeError, LimitExceeded
from ..limits import Limits
from . import packing
from .arrays import Buffer

__all__ = ["KEY", "LARGEST", "MAPPED", "cut", "cut_entry", "join", "most_parts", "read_cut", "slices"]

KEY = "cut"
LARGEST = 2**24  # bytes of a buffer that a producer, with many on their way, sends in one part
MAPPED = 2**25  # and of one that others do: glibc keeps the memory of those, and to put parts together is one copy more
_PART = 2**22  # bytes of each part otherwise; the last is shorter
_MIB = 2**20


def most_parts(limits: Limits) -> int:
    """Parts that the buffers of one message may come in."""
    return limits.max_parts + limits.max_total_bytes // _MIB  # whoever cuts makes no smaller parts, but for the last


def read_cut(value: Any, buffers: int, limits: Limits) -> list[int]:
    """The entry, checked: as many counts as there are ``buffers``, each at least 1."""
    if not isinstance(value, list) or len(value) != buffers or not all(type(each) is int for each in value):
        raise DecodeError.of(KEY, expected=f"{buffers} numbers of parts", found=f"{value!r:.80}")
    if min(value, default=1) < 1:
        raise DecodeError.of(KEY, expected="numbers of parts, each at least 1", found=f"{value!r:.80}")
    most = most_parts(limits)
    if sum(value) > most:
        raise LimitExceeded.over("max_parts", most, sum(value))
    return value


def join(parts: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """The buffers that were cut into as many ``parts`` as ``counts`` says; those of a single part as they are."""
    if len(parts) != sum(counts):
        raise DecodeError.of("message", expected=f"{sum(counts)} parts", found=f"{len(parts)}")
    rest = iter(parts)
    return [next(rest) if count == 1 else b"".join(next(rest) for _ in range(count)) for count in counts]


def cut_entry(frames: Sequence[Buffer]) -> bytes | None:
    """The entry for the metadata of a message whose buffers stand behind the first of ``frames``; None if no buffer is
    large enough to be cut."""
    if max(map(len, frames[1:]), default=0) <= LARGEST:
        return None
    return _entry([-(-len(frame) // _PART) if len(frame) > LARGEST else 1 for frame in frames[1:]])


def slices(buffers: Sequence[Buffer]) -> tuple[bytes | None, Sequence[Buffer]]:
    """As :func:`cut_entry`, for buffers above ``MAPPED``; and ``buffers`` with these in parts, each of which is to be
    copied or lent for itself."""
    if max(map(len, buffers), default=0) <= MAPPED:
        return None, buffers
    cut = [_slice(buffer) if len(buffer) > MAPPED else [buffer] for buffer in buffers]
    return _entry([len(parts) for parts in cut]), [part for parts in cut for part in parts]


def _slice(buffer: Buffer) -> list[Buffer]:
    view = memoryview(buffer)
    return [view[at : at + _PART] for at in range(0, len(view), _PART)]


def _entry(counts: list[int]) -> bytes:
    return packing.pack(KEY) + packing.pack(counts)


class _Part(np.ndarray[Any, np.dtype[np.uint8]]):
    """Keeps alive the very object that it was cut from, by whose end its owner learns that nobody reads it any more.
    NumPy keeps what lies under a memoryview, and not that itself; so does a slice of one."""

    cut_from: Any


def cut(frames: Sequence[Any]) -> list[Any]:
    """``frames`` with each large buffer in parts, which keep the object alive that they were cut from."""
    parts: list[Any] = []
    for frame in frames:
        if len(frame) <= LARGEST:
            parts.append(frame)
        else:
            whole = np.frombuffer(frame, np.uint8)
            for at in range(0, len(whole), _PART):
                part = whole[at : at + _PART].view(_Part)
                part.cut_from = frame
                parts.append(part)
    return parts
