"""Payloads on their way out by way of shared memory: copied into it once, sent from there as often as need be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..codec.metadata import with_entry
from ..errors import TransportError
from ..limits import Limits
from ..log import warn_once
from ..protocol.parcels import Parcel, Parcels
from .layout import lay_out
from .lending import CROSSOVER, Lender

__all__ = ["SharedParcels"]


class SharedParcels(Parcels):
    """Makes parcels whose large arrays lie in shared memory, or where all of that is on loan, in the message.

    So nobody waits here for a reader to let go: a server has to go on, and a client's calls are bounded by themselves.
    """

    def __init__(self, limits: Limits, max_bytes: int, on_release: Callable[[], None], lender: Lender) -> None:
        super().__init__(limits, max_bytes, on_release)
        self._lender = lender
        self._lock = threading.Lock()  # handlers pack their results in whatever thread they run

    def _stow(self, frames: list[Any], nbytes: int, keep: bool) -> Parcel:
        if nbytes - len(frames[0]) > CROSSOVER:
            parcel = self._share(frames, nbytes, keep)
            if parcel is not None:
                return parcel
            with self._lock:
                self.unshared += 1
        return super()._stow(frames, nbytes, keep)

    def _share(self, frames: list[Any], nbytes: int, keep: bool) -> Parcel | None:
        pieces, size, stay = lay_out(frames)
        try:
            slot = self._lender.take(size)
        except TransportError as error:  # the system has no more; what there is goes on
            warn_once(f"{error}")
            return None
        if slot is None:
            return None
        for piece in pieces:
            slot.fill(frames[1 + piece.part], piece.offset)
        entry, lot = self._lender.begin(slot, pieces)
        message = [with_entry(frames[0], entry, bare=True), *(map(bytes, stay) if keep else stay)]
        return Parcel(message, message, nbytes, lot)
