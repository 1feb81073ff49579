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

from . import packing
from .arrays import Buffer
from .errors import DecodeError, LimitExceeded
from .limits import Limits

__all__ = ["KEY", "LARGEST", "cut", "cut_entry", "join", "read_cut"]

KEY = "cut"
LARGEST = 2**24  # bytes of a buffer that is sent in one part
_PART = 2**22  # bytes of each part otherwise; the last is shorter
_MIB = 2**20


def read_cut(value: Any, buffers: int, limits: Limits) -> list[int]:
    """The entry, checked: as many counts as there are ``buffers``, each at least 1."""
    if not isinstance(value, list) or len(value) != buffers or not all(type(each) is int for each in value):
        raise DecodeError.of(KEY, expected=f"{buffers} numbers of parts", found=f"{value!r:.80}")
    if min(value, default=1) < 1:
        raise DecodeError.of(KEY, expected="numbers of parts, each at least 1", found=f"{value!r:.80}")
    most = limits.max_parts + limits.max_total_bytes // _MIB  # whoever cuts makes no smaller parts, but for the last
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
    counts = [-(-len(frame) // _PART) if len(frame) > LARGEST else 1 for frame in frames[1:]]
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
