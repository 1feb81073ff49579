"""What there is of shared memory to be lent: slots to write into, who holds which, and what has come back.

Where readers come, are handed the memory and say what they hold is ``readers``; what follows from that is
``protocol.claims``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Protocol

from ..memory.pool import DEPTH, DEPTH_BYTES
from ..memory.slots import Slot, Slots
from ..protocol.claims import Claims
from ..transport.lanes import AHEAD
from .readers import Readers

__all__ = ["Peers", "Stock", "depth_of"]


def depth_of(nbytes: int) -> int:
    """How many copies of ``nbytes`` may wait for a reader: so few that their slots are still in the cache when they are
    used again, and that they go on a lane, since ZeroMQ is the slower way."""
    return min(AHEAD, max(DEPTH, DEPTH_BYTES // nbytes))


class Peers(Protocol):
    """The connections of an endpoint."""

    disconnects: int

    def refresh(self) -> int:
        """How many there are now."""

    def end_orphans(self) -> None:
        """Part from those whose process has died."""


class Stock:
    """The shared memory of one endpoint that sends.

    Args:
        name: of the endpoint, for the log.
        folder: where the side channel's socket is to be.
        max_bytes: of shared memory, all slots together; of messages larger than half of that, two.
        peers: who is connected to the endpoint, whether they have come here or not; None where copies are addressed.
        with_lanes: have messages go past ZeroMQ where they can.
    """

    def __init__(
        self, name: str, folder: str, max_bytes: int, peers: Peers | None, *, with_lanes: bool = False
    ) -> None:
        self._name, self._peers = name, peers
        self._disconnects = 0 if peers is None else peers.disconnects
        self.identity = os.urandom(8)
        self._slots = Slots(max_bytes)
        self._claims: Claims[Slot] = Claims()
        self._lock = threading.RLock()
        self._closed_at: float | None = None
        self._ended = False
        self._lost = 0
        self.nbytes = 0
        """Bytes of messages that have been sent and are not free again, without those that are exempt."""
        self._readers = Readers(name, folder, self.identity, self._claims, with_lanes=with_lanes)
        self._consignees = self._readers.consignees

    @property
    def descriptor(self) -> int:
        """Readable when a reader has said something: a slot may be free."""
        return self._readers.words

    @property
    def path(self) -> str:
        """Of the socket at which the memory is handed out."""
        return self._readers.path

    @property
    def lost(self) -> int:
        """Messages that went to readers who died before they had them."""
        return self._lost + self._claims.lost + self._consignees.lost

    @property
    def fetched(self) -> int:
        """Messages that somebody has got; lower again when one has gone."""
        with self._lock:
            return self._claims.claimed + self._consignees.taken

    @property
    def unfetched(self) -> int:
        """Messages that nobody has got, and that are not on a lane either, where they are with their reader."""
        return len(self._claims.waiting)

    def _count_waiting(self) -> int:
        """Messages that nobody has got."""
        return len(self._claims.waiting) + self._consignees.waiting

    def is_far_ahead(self, depth: int, waits: int) -> bool:
        """Whether so many messages wait to be fetched that the next one, for which there have been ``waits``, should
        wait, too."""
        most = depth // 2 if waits else depth - 1  # to begin and to stop at every message would be all that it does
        with self._lock:
            if self._count_waiting() <= most:
                return False
            self._listen()
            return self._count_waiting() > most

    # Slots

    def take(self, nbytes: int) -> Slot | None:
        """A slot for ``nbytes``; None while there is none. TransportError if the system has no memory for it."""
        with self._lock:
            if self._closed_at is not None:
                return None
            slot = self._pop(nbytes)
            if slot is None:
                self._settle()
                slot = self._slots.pop(nbytes) or self._grow(nbytes)
            while slot is not None and not self._renew(slot):
                slot = self._slots.pop(nbytes) or self._grow(nbytes)
            if self._consignees.sleep(slot is None):
                return self.take(nbytes)
            return slot

    def take_now(self, nbytes: int, depth: int) -> Slot | None:
        """As :meth:`take`, if that needs no thought, and fewer than ``depth`` messages wait to be fetched."""
        with self._lock:
            consignee, waiting = self._consignees.only, len(self._claims.waiting)
            freed: Sequence[Slot] = ()
            if consignee is not None:
                freed = consignee.take_freed()
                waiting += len(consignee.waiting)
            if len(freed) == 1 and waiting < depth and freed[0].used == nbytes:  # as in most streams
                found: Slot | None = freed[0]
                self.nbytes -= nbytes  # and soon it is stamped anew, before its reader hears of it again
            else:
                for slot in freed:
                    self._take_back(slot)
                if waiting >= depth:
                    return None
                found = self._pop(nbytes)
                if found is None or not self._renew(found):
                    return None
            if self._consignees.asleep:
                self._consignees.sleep(False)
            return found

    def _pop(self, nbytes: int) -> Slot | None:
        """A slot that is free, maybe since this moment."""
        slot = self._slots.pop(nbytes)
        if slot is None:
            self._listen()
            slot = self._slots.pop(nbytes)
        return slot

    def _renew(self, slot: Slot) -> bool:
        """Whether nobody holds what was in ``slot``. It was made invalid when it became free, and now we listen; a
        reader claims first, and then looks whether it is valid. So whoever comes late either holds it, or sees that it
        has come too late."""
        if slot.generation and self._readers.hear():
            self._sort_in()
        if not self._claims.forget(slot.generation):
            self.nbytes += slot.used
            return False
        slot.generation = 0
        return True

    def _grow(self, nbytes: int) -> Slot | None:
        # Who reads one after the other holds the last one until the next has come.
        segment, gone = self._slots.grow(nbytes, one_more=not self._count_waiting())
        for slot in gone:
            self._claims.drop(slot.generation)
        for withdrawn in {slot.segment.number: slot.segment for slot in gone}.values():
            self._readers.withdraw(withdrawn)
        if segment is None:
            return None
        self._readers.offer(segment)
        return self._slots.pop(nbytes)

    def give_back(self, slot: Slot) -> None:
        """A slot that was taken, and is not sent."""
        with self._lock:
            if not self._ended:
                slot.stamp(0, 0)
                self._slots.push(slot)

    # What readers have said

    def _listen(self) -> None:
        """Take it in. To be called with the lock held."""
        if self._readers.hear():
            self._sort_in()

    def _settle(self) -> None:
        """Find out what has been lost with readers who have gone."""
        count = 0
        if self._peers is not None and self._closed_at is None:
            self._peers.end_orphans()
            count = self._peers.refresh()
            if self._peers.disconnects > self._disconnects:  # what was sent to who never came here, or had left
                self._disconnects = self._peers.disconnects
                self._claims.suspect()
        if self._claims.in_doubt():
            for reader, generation in self._consignees.newest():
                self._claims.reach(reader, generation)
            self._claims.settle(count)
            self._sort_in()

    def _sort_in(self) -> None:
        for slot in self._claims.take_freed():
            self.nbytes -= slot.used
            slot.stamp_memory(0, 0)  # nobody is to find that message any more
            self._slots.push(slot)
        for slot in self._consignees.take_freed():
            self._take_back(slot)

    def _take_back(self, slot: Slot) -> None:
        self._empty(slot)
        self._slots.push(slot)

    def _empty(self, slot: Slot) -> None:
        """Nobody holds what is in ``slot``, and nobody but who did can have heard of it."""
        self.nbytes -= slot.used
        slot.stamp(0, 0)

    def look(self) -> None:
        """Take note of who has gone."""
        with self._lock:
            self._listen()
            self._settle()

    def situation(self) -> str:
        """Who holds how much, for errors."""
        with self._lock:
            self._listen()
            parts = []
            in_use = self._slots.in_use
            holdings = self._claims.holdings()
            for reader, slots in self._consignees.holdings():
                holdings.setdefault(reader, []).extend(slots)
            for reader, slots in holdings.items():
                if not slots:
                    continue
                held = sum(slot.used for slot in slots)
                in_use -= sum(slot.array.nbytes for slot in slots)
                who = "not fetched yet" if reader is None else f"held by {reader}"
                parts.append(f"{len(slots)} messages, {held} bytes {who}")
            if in_use > 0:  # what several hold was taken off more than once
                parts.append(f"{in_use} bytes in loans that are open here")
            if not parts:
                return f"shared memory of {self._slots.max_bytes} bytes: all free"
            return (
                f"shared memory of {self._slots.max_bytes} bytes: {'; '.join(parts)}; "
                "raise max_bytes, or have readers hold fewer arrays"
            )
