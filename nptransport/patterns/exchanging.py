"""What clients and servers have in common: payloads go out and others come in, through shared memory where that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codec.decoder import BareDecoder
from ..codec.plan import Plan
from ..limits import Limits
from ..protocol.parcels import Parcel, Parcels
from ..shm.borrowing import Borrower
from ..shm.lending import Lender
from ..shm.shares import SharedParcels
from ..shm.sidechannel import NAME
from ..transport.channel import Channel
from .receiving import SMALL, Receiving

__all__ = ["Exchanging"]

_KEPT = 60.0  # seconds, up to twice as many, that an answer waits in shared memory for a client that does not fetch it


class Exchanging(Receiving):
    """An endpoint that sends payloads and receives others."""

    _decoder: BareDecoder

    def _set_up_exchange(self, channel: Channel, limits: Limits, max_bytes: int, identity: bytes = b"") -> None:
        """``identity``: the routing identity under which this endpoint gets answers."""
        self._lender: Lender | None = None
        self._borrower = Borrower(str(channel), channel.folders, reader_name(identity)) if channel.folders else None
        self._channel, self._decoder = channel, BareDecoder(limits)
        self._parcels = Parcels(limits, max_bytes, channel.on_release, cuts=not channel.within_process)
        if channel.is_shared:
            try:
                self._lender = Lender(str(channel), channel.folders[0], max_bytes, None, keep=_KEPT)
            except BaseException:
                channel.destroy()
                raise
            self._parcels = SharedParcels(limits, max_bytes, channel.on_release, self._lender)

    def _fetch(self, metadata: bytes, nbytes: int) -> tuple[Plan, Sequence[Any], int]:
        """The payload that ``metadata`` begins, behind a word of ``nbytes``: its plan, its parts, and the bytes of it
        all. DecodeError if that cannot be read; what there is of the message is for the caller to drop."""
        channel = self._channel
        plan, part = self._decoder.known_bare(metadata), None
        if plan is not None and plan.alone is not None and plan.nbytes <= SMALL:  # a small array like one before
            part = channel.take_one()
            if not channel.more:
                return plan, (part,), nbytes + len(metadata) + len(part)
        letter = self._collect(metadata, None, nbytes, part)
        return letter.plan, letter.parts, letter.nbytes

    def _address(self, parcel: Parcel, identity: bytes) -> None:
        """``parcel`` is about to be sent to ``identity``, who fetches it from shared memory if it is there."""
        if self._lender is not None and parcel.lot is not None:
            self._lender.address(parcel.lot, reader_name(identity))

    def _take_back(self, parcel: Parcel, identity: bytes) -> None:
        """It could not be sent."""
        if self._lender is not None and parcel.lot is not None:
            self._lender.take_back(parcel.lot, reader_name(identity))

    def _stop_exchange(self, linger: float) -> None:
        """The socket is closed. What others have yet to fetch is kept for them; what was received stays valid."""
        if self._lender is not None:
            self._lender.close(linger)
        self._stop_borrowing()


def reader_name(identity: bytes) -> bytes:
    """By which name whoever has that routing identity is known at side channels."""
    return identity[1 : 1 + NAME].ljust(NAME, b"\0")
