"""How an array is cut into pieces, each one message."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .npyheader import Header

__all__ = ["Cut"]


class Cut:
    """The pieces of one array, in the order in which its elements lie in the file.

    Args:
        split: frame by frame along the first axis, or in Fortran order the last one, whose slices lie together.
            Else in one piece if that has ``largest`` bytes at most, or in flat runs of so many.
    """

    def __init__(self, header: Header, split: bool, largest: int) -> None:
        self._dtype, shape, self._order = header
        self._size = math.prod(shape)
        if split and shape:
            self.frames, self._shape = (shape[0], shape[1:]) if self._order == "C" else (shape[-1], shape[:-1])
            self._step = self._size // self.frames if self.frames else 0
        elif self._size * self._dtype.itemsize <= largest:
            self.frames, self._shape, self._step = 1, shape, self._size
        else:
            self._step = max(1, largest // self._dtype.itemsize)
            self.frames, self._shape = -(-self._size // self._step), (-1,)

    def pieces(self, read: Callable[[int, int], np.ndarray[Any, Any]]) -> Iterator[np.ndarray[Any, Any]]:
        """``read`` gives the elements from one index to another, flat."""
        for frame in range(self.frames):
            start = frame * self._step
            flat = read(start, min(start + self._step, self._size))
            yield flat.reshape(self._shape, order="F" if self._order == "F" else "C")
