"""Payloads on their way out that may have to be sent again: encoded once, large arrays copied into warm buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..codec.encoder import Encoder, cut_frames
from ..limits import Limits
from ..memory.pool import SMALL, InFlight

__all__ = ["Parcel", "Parcels", "gathered"]


class Parcel(NamedTuple):
    """The frames of one payload."""

    frames: list[Any]
    copied: list[Any]
    """The same for those that libzmq is to copy, None for those that it may read where they are."""
    nbytes: int
    """Of the payload, wherever it lies."""
    lot: Any = None
    """What keeps that part of it which lies in shared memory."""

    def emptied(self) -> Parcel:
        """What is left once it is not to be sent any more: its size."""
        return Parcel([], [], self.nbytes)


class Parcels:
    """Makes parcels; their large arrays are copies, so that the caller's are free at once.

    Args:
        cuts: whether large buffers go in several parts.
    """

    unshared = 0
    """Large payloads for which there was no shared memory."""

    def __init__(self, limits: Limits, max_bytes: int, on_release: Callable[[], None], *, cuts: bool = False) -> None:
        self._encoder = Encoder(limits)
        self._cuts = cuts
        self.in_flight = InFlight(max_bytes, on_release)

    def pack(self, payload: Any, *, keep: bool) -> Parcel:
        """``keep``: copy the small arrays, too, since the caller may change them before all has been sent."""
        if not keep:
            pair = self._encoder.alone_like_before(payload)  # as most are that have to be quick
            if pair is not None and payload.nbytes <= SMALL:
                return Parcel(pair, pair, len(pair[0]) + payload.nbytes)
        frames: list[Any] = self._encoder.encode(payload)
        return self._stow(frames, sum(map(len, frames)), keep)

    def _stow(self, frames: list[Any], nbytes: int, keep: bool) -> Parcel:
        if self._cuts:
            frames = cut_frames(frames, bare=True)
        copied: list[Any] = frames
        if nbytes > SMALL or keep:
            for index in range(1, len(frames)):
                frame = frames[index]
                if len(frame) > SMALL:
                    if copied is frames:
                        copied = list(frames)
                    frames[index] = self.in_flight.copy(frame, len(frame))
                    copied[index] = None
                elif keep:
                    frames[index] = bytes(frame)
                    if copied is not frames:
                        copied[index] = frames[index]
        return Parcel(frames, copied, nbytes)


def gathered(parcel: Parcel) -> Parcel:
    """The same, independent of the arrays that it was made of."""
    frames = [bytes(frame) if kept is not None else frame for frame, kept in zip(*parcel[:2], strict=True)]
    copied = [None if kept is None else frame for frame, kept in zip(frames, parcel.copied, strict=True)]
    return Parcel(frames, copied, parcel.nbytes, parcel.lot)
