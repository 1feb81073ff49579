"""How a producer sends by way of shared memory, and past ZeroMQ where it can."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..codec.arrays import Buffer
from ..codec.metadata import with_entry
from ..memory.slots import Slot
from ..protocol.outbox import Outbox
from ..shm.layout import lay_out
from ..shm.lending import Lender
from ..shm.stock import depth_of
from ..transport.steps import PATIENCE, Need, Steps
from .endpoint import Endpoint

__all__ = ["CROSSOVER", "Sharing"]

CROSSOVER = 32 * 1024  # bytes of content from which shared memory is the quicker way, past ZeroMQ
_CATCH_UP = 0.02  # seconds at the most that a message waits for consumers to get through those before it


class Sharing(Endpoint):
    """The part of a producer that has to do with shared memory."""

    _outbox: Outbox

    def _set_up_sharing(self, max_bytes: int, *, lanes: bool) -> None:
        """``lanes``: whether what is sent may go past ZeroMQ, which encrypts it where that is wanted."""
        channel = self._channel
        self._lender: Lender | None = None
        if channel.is_shared:
            try:
                self._lender = Lender(
                    str(channel), channel.folders[0], max_bytes, channel.connections, with_lanes=lanes
                )
            except BaseException:
                channel.destroy()
                raise
            channel.returns, channel.tell_holders = self._lender.descriptor, self._lender.situation
        self._carried = 0  # generation of what the socket carried last; 0 where that lay in no shared memory
        self._fetched = 0  # messages in shared memory that had been claimed when we looked last
        self._keeps_up = True  # whoever reads what lies in shared memory

    def _share_like_before(self, lender: Lender, payload: Any, body: bytes, now: float) -> bool:
        """Send a large array of a layout sent before, if that can be done at once: a short cut."""
        if not self._keeps_up:
            return False
        self._channel.enter()
        try:
            slot = lender.take_now(payload.nbytes, depth_of(payload.nbytes))
            if slot is None:
                return False
            np.copyto(slot.like(payload.dtype, payload.shape, payload.nbytes), payload)
            if self._hand_over_now(lender, slot, payload.nbytes, body, now):
                return True
            lender.give_back(slot)
            return False
        finally:
            self._channel.leave()

    def _sharing(self, lender: Lender, frames: list[Buffer]) -> Steps[bool]:
        """Copy a message into shared memory, and send where it is. False if that cannot be, since nobody knows whether
        the memory that it waits for will ever come back."""
        pieces, nbytes, _ = lay_out(frames)
        yield from self._letting_catch_up(lender, depth_of(nbytes))
        slot = lender.take(nbytes)
        while slot is None:
            if lender.is_stuck():
                return False
            yield Need.RELEASED
            slot = lender.take(nbytes)
        for piece in pieces:
            slot.fill(frames[1 + piece.part], piece.offset)
        self._outbox.renew(frames, time.time())  # others may have sent meanwhile
        yield from self._handing_over(lender, slot, frames)
        return True

    def _letting_catch_up(self, lender: Lender, depth: int) -> Steps[None]:
        """Wait for consumers that are reading once ``depth`` messages wait for them: they have enough to do, and memory
        never used costs more than it saves. Not for one that is stuck."""
        if not lender.is_far_ahead(depth, 0):
            return
        begun = seen_at = time.monotonic()
        while lender.is_far_ahead(depth, 1):
            now = time.monotonic()
            if lender.fetched != self._fetched:
                self._fetched, self._keeps_up, seen_at = lender.fetched, True, now
            if now - seen_at > PATIENCE:
                self._keeps_up = False
            if not self._keeps_up or now - begun > _CATCH_UP:
                return
            yield Need.FETCHED
        self._keeps_up = True

    # Handing over what lies in a slot

    def _hand_over_now(self, lender: Lender, slot: Slot, nbytes: int, body: bytes, now: float) -> bool:
        """Send the array in ``slot``, whose metadata has that ``body``; False if there is no room for that."""
        outbox, carried = self._outbox, self._carried
        length = 0
        if carried and self._channel.connections.count == 1:
            length = lender.consign_again(slot, nbytes, carried, body, outbox.messages, now)
        if not length:
            message = outbox.start(now) + lender.stamp_alone(slot, nbytes) + body
            if not self._carry(lender, slot, message, [], body):
                return False
            length = len(message)
        outbox.count(length + nbytes)
        return True

    def _handing_over(self, lender: Lender, slot: Slot, frames: list[Buffer]) -> Steps[None]:
        """Send a message that is in ``slot``; that is free again if it cannot be sent."""
        pieces, _, rest = lay_out(frames)
        message = b""
        sent = False
        try:
            while not sent:
                message = with_entry(frames[0], lender.stamp(slot, pieces))
                sent = self._carry(lender, slot, message, rest)
                if not sent:
                    yield Need.WRITABLE
                    self._outbox.renew(frames, time.time())
        finally:
            if not sent:
                lender.give_back(slot)
        self._outbox.count(len(message) + sum(map(len, frames[1:])))

    def _carry(self, lender: Lender, slot: Slot, message: bytes, rest: list[Buffer], body: bytes | None = None) -> bool:
        """Whether the message in ``slot`` is on its way: on a lane if it has one part, and the only consumer can tell
        what came before it; else by the socket. ``body``: as for :meth:`Lender.consign`."""
        carried = 0 if rest else self._carried
        if carried and self._channel.connections.count == 1 and lender.consign(slot, message, carried, body):
            return True
        lender.sends(slot)
        if self._channel.try_send([message, *rest]):
            self._carried = slot.generation
            return True
        lender.withdraw(slot)
        return False

    def _stop_lending(self, linger: float) -> int:
        """What consumers have yet to fetch is kept for them; how many messages that is."""
        if self._lender is None:
            return 0
        self._channel.tell_holders = None
        self._lender.close(linger)
        return self._lender.unfetched
