"""Short cuts for what most messages are: one array of a layout that was sent before, for which there is room now.

Each does what ``producing`` does, or nothing: then that is done, with its own waiting and its own errors.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..codec.framing import MOST_JOINED
from ..shm.layout import Lending, shaped
from ..transport.lanes import AHEAD
from .sharing import Sharing

__all__ = ["LOOK", "Shortcuts"]

LOOK = 0.01
"""Seconds between looks at who is connected."""


class Shortcuts(Sharing):
    """What a producer can do at once."""

    _looked: float
    """When we looked last who is connected."""

    def _send_like_before(self, payload: Any) -> bool:
        """Send an array that is small, or goes through shared memory, of a layout sent before, if there is room now."""
        now, outbox, channel = time.time(), self._outbox, self._channel
        if type(payload) is not np.ndarray or now - self._looked > LOOK:
            return False
        if payload.nbytes > outbox.small:
            lender = self._lender
            body = None if lender is None else outbox.body_like_before(payload)
            return lender is not None and body is not None and self._share_like_before(lender, payload, body, now)
        channel.enter()
        try:
            if payload.nbytes <= MOST_JOINED:
                whole = outbox.whole_like_before(payload, now)
                if whole is None or not channel.try_send_one(whole[0]):
                    return False
                outbox.count(whole[1])
            else:
                body = outbox.body_like_before(payload)
                if body is None or not channel.try_send_pair(metadata := outbox.metadata(now, body), payload):
                    return False
                outbox.count(len(metadata) + payload.nbytes)
            self._carried = 0
            return True
        finally:
            channel.leave()

    def _lend_now(self, loan: Lending[Any]) -> np.ndarray[Any, Any] | None:
        """As ``Producing._lending``, if it is small, or there is a slot at once; else None."""
        loan.check_not_open()
        self._channel.check_usable()  # not more: what is asked here may be asked by two threads at once
        lender = self._lender
        kind, sizes, nbytes = self._outbox.check_loan(loan.shape, loan.dtype)
        if nbytes <= self._outbox.small:
            loan.array = array = np.empty(sizes, kind, loan.order)  # nothing is gained by memory that was used before
            return array
        slot = None if lender is None else lender.take_now(nbytes, AHEAD)
        if slot is None:
            return None
        if loan.order == "C":
            array = slot.like(kind, sizes, nbytes).view()
        else:
            array = shaped(slot.array, kind, sizes, nbytes, loan.order)
        loan.array, loan.slot = array, slot
        return array

    def _send_lent_now(self, loan: Lending[Any], array: np.ndarray[Any, Any]) -> bool:
        """As ``Producing._sending_lent``, if the like was sent before and there is room at once."""
        lender, slot, now = self._lender, loan.slot, time.time()
        if slot is None or lender is None:
            return loan.buffer is None and self._send_like_before(array)
        body = self._outbox.body_like_before(array)
        if body is None or now - self._looked > LOOK:
            return False
        self._channel.enter()
        try:
            loan.slot = None  # or it might be taken back once it is on its way
            if self._hand_over_now(lender, slot, array.nbytes, body, now):
                return True
            loan.slot = slot
            return False
        finally:
            self._channel.leave()
