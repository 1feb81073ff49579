"""What is sent, and the check that it has arrived: the same for every candidate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

__all__ = ["Array", "Content", "Reading", "Wrong"]

Array = np.ndarray[Any, np.dtype[np.uint64]]
Reading = Literal["touch", "read"]

_DTYPE = np.dtype(np.uint64)
_STEP = 8  # elements between the beginnings of two messages: a cache line
_CYCLE = 64  # messages until they repeat
_PART = 2**17  # elements that are compared at once: with what they are compared with, they stay in the cache


class Wrong(Exception):
    """What arrived is not what was sent."""


class Content:
    """Arrays of consecutive numbers, each a window upon one large array.

    Where a window begins is the number of the message, modulo 64: so also those that lend their memory can number what
    they send without writing to it.

    Args:
        nbytes: size of each array, a multiple of 8.
        reading: touch looks at dtype, shape, first and last element; read also adds up all of them.
        whole: whether ``write`` writes every element, so that all of them can be compared.
    """

    def __init__(self, nbytes: int, reading: Reading, *, whole: bool = True) -> None:
        self._length = nbytes // _DTYPE.itemsize
        self._shape = (self._length,)
        self._read = reading == "read"
        self._whole = whole
        self._sent = self._checked = 0
        self._base: Array | None = None
        self._last: Array | None = None

    def __next__(self) -> Array:
        """The array to send next."""
        if self._base is None:
            self._base = np.arange(self._length + _STEP * _CYCLE, dtype=_DTYPE)
        start = _STEP * (self._sent % _CYCLE)
        self._sent += 1
        return self._base[start : start + self._length]

    def write(self, array: Array) -> None:
        """Write the next one into ``array``: whole, or its first and last element."""
        source = next(self)
        if self._whole:
            np.copyto(array, source)
        else:
            array[0], array[-1] = source[0], source[-1]

    def check(self, array: Any) -> None:
        """Raise Wrong unless ``array`` is the next one that was sent."""
        if not isinstance(array, np.ndarray) or array.dtype != _DTYPE or array.shape != self._shape:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise Wrong(f"message {self._checked}: expected {_DTYPE} {self._shape}, found {found}")
        first = _STEP * (self._checked % _CYCLE)
        ends, expected = (array.item(0), array.item(-1)), (first, first + self._length - 1)
        if ends != expected:
            raise Wrong(f"message {self._checked}: expected first and last element {expected}, found {ends}")
        if self._read:
            total = sum(expected) * self._length // 2 % 2**64
            summed = int(array.sum(dtype=np.uint64))
            if summed != total:
                raise Wrong(f"message {self._checked}: expected the sum {total}, found {summed}")
        self._checked += 1

    def take(self, receive: Callable[[], Any], count: int) -> None:
        """Receive and check ``count`` arrays."""
        for _ in range(count - 1):
            self.check(receive())  # not kept: memory that is free again is a part of what is measured
        self.check_last(receive())

    def check_last(self, array: Any) -> None:
        """Check the last one of a burst, and keep it for ``compare``."""
        self.check(array)
        self._last = array

    def compare(self) -> None:
        """Raise Wrong unless every element of the last array of the burst is what was sent, where it was sent.

        A sum does not see parts that have changed places. This is too slow for the time that is measured.
        """
        array, self._last = self._last, None
        if array is None or not self._whole:
            return
        first = _STEP * ((self._checked - 1) % _CYCLE)
        for start in range(0, self._length, _PART):
            found = array[start : start + _PART]
            expected = np.arange(first + start, first + start + len(found), dtype=_DTYPE)
            if not np.array_equal(found, expected):
                at = int(np.argmax(found != expected))
                what = f"expected element {start + at} to be {expected[at]}, found {found[at]}"
                raise Wrong(f"message {self._checked - 1}: {what}")
