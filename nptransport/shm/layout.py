"""How a message lies in a slot of shared memory, and how a caller writes one there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

from ..codec.arrays import Buffer
from ..codec.descriptor import ALIGNMENT, MOST_PIECES, Piece
from ..errors import MisuseError
from ..memory.slots import Slot

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Lending", "lay_out", "shaped"]

T = TypeVar("T")

_PIECE = 4096  # parts below this stay in the message

Warm = np.ndarray[Any, np.dtype[np.uint8]]


class Lending(Generic[T]):
    """A block in which a message is written into the memory that it is sent from, apart from how it begins and ends."""

    def __init__(
        self,
        endpoint: T,
        shape: int | Sequence[int],
        dtype: DTypeLike,
        order: Literal["C", "F"],
        timeout: float | None = None,
        topic: str = "",
    ) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self.shape, self.dtype, self.order, self.topic = shape, dtype, order, topic
        self.array: np.ndarray[Any, Any] | None = None
        """What is lent, while the block is open."""
        self.slot: Slot | None = None
        """Where that lies in shared memory, until it is sent, or taken back."""
        self.buffer: Warm | None = None
        """A warm buffer that it is copied from when it is sent, until it is taken back."""

    def check_not_open(self) -> None:
        """MisuseError if it is begun a second time before its end."""
        if self.array is not None:
            raise MisuseError(
                "this loan is open already: ask for another one", expected="one block", found="another in it"
            )

    def end(self) -> np.ndarray[Any, Any]:
        """What was written. Nobody writes to it any more."""
        array, self.array = self.array, None
        assert array is not None
        array.setflags(write=False)
        return array


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
