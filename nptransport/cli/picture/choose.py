"""Which part of an array is shown, and as what; looks at its shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Choice", "Kind", "choose"]

_CURVES = 8  # at most; more rows or columns make a picture
_LONG = 4  # times as long as there are curves, at least: a small matrix is a picture
_CHANNELS = (3, 4)  # RGB, RGBA

_Index = tuple["int | slice", ...]
_WHOLE = slice(None)


class Kind(Enum):
    """What an array is shown as."""

    VALUE = "value"
    """One number, or none."""
    CURVES = "curves"
    """1-D, or 2-D with few rows: each a curve."""
    GREY = "grey"
    """Rows and columns."""
    COLOUR = "colour"
    """Rows, columns, and 3 or 4 channels."""


@dataclass(frozen=True)
class Choice:
    """``array[index].transpose(axes)`` is shown as ``kind``."""

    kind: Kind
    index: _Index
    axes: tuple[int, ...]

    def __str__(self) -> str:
        """The index as in NumPy; "" where the whole array is shown."""
        if all(isinstance(place, slice) for place in self.index):
            return ""
        return f"[{', '.join(':' if isinstance(place, slice) else str(place) for place in self.index)}]"


def choose(shape: tuple[int, ...]) -> Choice:
    """Colour where an axis has 3 or 4 channels; of what has too many dimensions, slices in the middle."""
    index: list[int | slice] = [_WHOLE] * len(shape)
    left = list(range(len(shape)))  # the axes that are still whole
    if 0 in shape:
        return Choice(Kind.VALUE, tuple(index), tuple(left))

    def cut(axis: int) -> None:
        index[axis] = shape[axis] // 2
        left.remove(axis)

    for axis in [axis for axis in left if shape[axis] == 1]:
        if len(left) > 2:
            cut(axis)
    while len(left) > 3:
        cut(left[0])
    if len(left) == 3:
        if shape[left[2]] in _CHANNELS:
            return Choice(Kind.COLOUR, tuple(index), (0, 1, 2))
        if shape[left[0]] in _CHANNELS:
            return Choice(Kind.COLOUR, tuple(index), (1, 2, 0))
        cut(min(left, key=lambda axis: shape[axis]))
    if len(left) == 2:
        rows, columns = (shape[axis] for axis in left)
        if rows <= _CURVES and columns >= _LONG * rows:
            return Choice(Kind.CURVES, tuple(index), (0, 1))
        if columns <= _CURVES and rows >= _LONG * columns:
            return Choice(Kind.CURVES, tuple(index), (1, 0))
        return Choice(Kind.GREY, tuple(index), (0, 1))
    return Choice(Kind.CURVES if left else Kind.VALUE, tuple(index), tuple(range(len(left))))
