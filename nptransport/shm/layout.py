"""How a message lies in a slot of shared memory, and how a caller writes one there."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..codec.arrays import Buffer
from ..codec.descriptor import ALIGNMENT, MOST_PIECES, Piece
from ..errors import MisuseError
from ..memory.slots import Slot

__all__ = ["Lent", "check_not_open", "lay_out", "shaped"]

_PIECE = 4096  # parts below this stay in the message

Warm = np.ndarray[Any, np.dtype[np.uint8]]


class Lent:
    """Memory that the caller writes a message into."""

    def __init__(self, array: np.ndarray[Any, Any], slot: Slot | None = None, buffer: Warm | None = None) -> None:
        self.array = array
        self.slot = slot
        """Where it lies in shared memory, until it is sent, or taken back."""
        self.buffer = buffer
        """A warm buffer that it is copied from when it is sent, until it is taken back."""


def check_not_open(lent: Lent | None) -> None:
    """MisuseError if a loan, of which ``lent`` is the memory, is begun a second time before its end."""
    if lent is not None:
        raise MisuseError("this loan is open already: ask for another one", expected="one block", found="another in it")


def shaped(
    memory: np.ndarray[Any, Any], dtype: np.dtype[Any], shape: tuple[int, ...], nbytes: int, order: Literal["C", "F"]
) -> np.ndarray[Any, Any]:
    """An array of ``nbytes`` over the beginning of ``memory``."""
    flat = memory[:nbytes].view(dtype) if nbytes else np.empty(shape, dtype)
    return flat.reshape(shape, order=order)


def lay_out(frames: list[Buffer]) -> tuple[list[Piece], int, list[Buffer]]:
    """Where in a slot the large ones of a message's buffers go, how large that has to be, and the buffers that stay."""
    if len(frames) == 2:
        return [Piece(0, 0, len(frames[1]))], len(frames[1]), []
    pieces: list[Piece] = []
    stay: list[Buffer] = []
    at = 0
    least = min(_PIECE, max(map(len, frames[1:])))
    for index, frame in enumerate(frames[1:]):
        if len(frame) >= least and len(pieces) < MOST_PIECES:
            at = -(-at // ALIGNMENT) * ALIGNMENT
            pieces.append(Piece(index, at, len(frame)))
            at += len(frame)
        else:
            stay.append(frame)
    return pieces, at, stay
