"""The sender's side of shared memory: slots to write into, and the account of who holds which.

Where readers come, are handed the memory and say what they hold is ``readers``; what follows from that is
``protocol.claims``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

from .descriptor import Descriptor, Piece, write_entry
from .ending import close_at_end
from .log import warn
from .memory.leases import Readings
from .memory.slots import Slot, Slots
from .protocol.claims import Claims
from .readers import Readers
from .service import Service, weakly

__all__ = ["CROSSOVER", "Lender", "Lot", "Peers"]

CROSSOVER = 32 * 1024  # bytes of content from which shared memory is the quicker way
# Messages that wait for a reader: as many, or that much. With more, the processor's cache holds them no more.
_DEPTH, _DEPTH_BYTES = 4, 2**22
_NOTHING = 2**32 - 1
_WAIT = 60.0  # seconds that what nobody has fetched is kept for readers who were never heard of


class Lot:
    """A message in shared memory of which copies may be sent for as long as this is kept."""

    __slots__ = ("_end", "_slot", "generation", "nbytes", "room")

    def __init__(self, slot: Slot, end: Callable[[Slot], None]) -> None:
        self._slot, self._end = slot, end
        self.generation, self.nbytes = slot.generation, slot.used
        self.room = slot.array.nbytes

    def __del__(self) -> None:
        self._end(self._slot)


class Peers(Protocol):
    """The connections of an endpoint."""

    disconnects: int

    def refresh(self) -> int:
        """How many there are now."""


class Lender:
    """Shared memory of one endpoint that sends.

    Args:
        name: of the endpoint, for the log.
        folder: where the side channel's socket is to be.
        max_bytes: of shared memory, all slots together; one message larger than that travels alone.
        peers: who is connected to the endpoint, whether they have come here or not. None: all copies are addressed,
            and who has gone is told by :meth:`forget`, or is seen here.
        keep: seconds, up to twice as many, that a copy waits for an addressee who does not fetch it; None: no end.
    """

    def __init__(
        self, name: str, folder: str, max_bytes: int, peers: Peers | None, *, keep: float | None = None
    ) -> None:
        self._name, self._peers, self._keep = name, peers, keep
        self._disconnects = 0 if peers is None else peers.disconnects
        self.identity = os.urandom(8)
        self._slots = Slots(max_bytes)
        self._claims: Claims[Slot] = Claims()
        self._lock = threading.RLock()
        self._closed_at: float | None = None
        self._linger = 0.0
        self._attentive = False
        self._lost = 0
        self._tidied = time.monotonic()
        self.nbytes = 0
        """Bytes of messages that have been sent and are not free again, without those that are exempt."""
        self._ended = False
        self._process = os.getpid()
        self._end_of_lot = weakly(self._end_lot)
        self._readers = Readers(name, folder, self.identity, self._claims)
        self._service = Service(f"shared memory of {name}", [self._readers.news], self._work)

    @property
    def descriptor(self) -> int:
        """Readable when a reader has said something: a slot may be free."""
        return self._readers.words

    @property
    def path(self) -> str:
        """Of the socket at which the memory is handed out."""
        return self._readers.path

    def look(self) -> None:
        """Take note of who has gone."""
        with self._lock:
            self._listen()
            self._settle()

    def awaits(self) -> bool:
        """Whether messages that lie here have been sent and not been fetched, and not by the death of their readers."""
        self.look()
        return self._claims.unclaimed > self._claims.in_doubt()

    @property
    def lost(self) -> int:
        """Messages that went to readers who died before they had them."""
        return self._lost + self._claims.lost

    # Messages

    @property
    def fetched(self) -> int:
        """Claims so far."""
        return self._claims.claimed

    def is_far_ahead(self, nbytes: int, waits: int) -> bool:
        """Whether a message of ``nbytes``, for which there have been ``waits``, should wait for those before it to be
        fetched, so that their slots are still in the cache when they are used again."""
        depth = max(_DEPTH, _DEPTH_BYTES // nbytes)
        most = depth // 2 if waits else depth - 1  # to begin and to stop at every message would be all that it does
        if self._claims.unclaimed <= most:
            return False
        with self._lock:
            self._listen()
        return self._claims.unclaimed > most

    def take(self, nbytes: int) -> Slot | None:
        """A slot for ``nbytes``; None while there is none. TransportError if the system has no memory for it."""
        with self._lock:
            if self._closed_at is not None:
                return None
            slot = self._slots.pop(nbytes)
            if slot is None:
                self._listen()
                slot = self._slots.pop(nbytes)
            if slot is None:
                self._settle()
                slot = self._slots.pop(nbytes) or self._grow(nbytes)
            while slot is not None and not self._renew(slot):
                slot = self._slots.pop(nbytes)
            return slot

    def take_now(self, nbytes: int) -> Slot | None:
        """As :meth:`take`, if that needs no thought."""
        with self._lock:
            if self._claims.unclaimed >= max(_DEPTH, _DEPTH_BYTES // nbytes):
                return None
            slot = self._slots.pop(nbytes)
            if slot is None:
                self._listen()
                slot = self._slots.pop(nbytes)
                if slot is None:
                    return None
            return slot if self._renew(slot) else None

    def _renew(self, slot: Slot) -> bool:
        """Whether nobody holds what was in ``slot``. It was made invalid when it became free, and now we listen; a
        reader claims first, and then looks whether it is valid. So whoever comes late either holds it, or sees that it
        has come too late."""
        if slot.generation:
            self._listen()
        if not self._claims.forget(slot.generation):
            self.nbytes += slot.used
            return False
        slot.generation = 0
        return True

    def _grow(self, nbytes: int) -> Slot | None:
        segment, gone = self._slots.grow(nbytes)
        for each in gone:
            self._readers.withdraw(each)
        if segment is None:
            return None
        self._readers.offer(segment)
        return self._slots.pop(nbytes)

    def give_back(self, slot: Slot) -> None:
        """A slot that was taken, and is not sent."""
        with self._lock:
            if not self._ended:
                self._slots.push(slot)

    def is_stuck(self) -> bool:
        """Whether the slots that are missing may never come back by themselves: whom they went to has died. A message
        beside them, with :meth:`mark`, finds out."""
        with self._lock:
            return self._claims.in_doubt() > 0

    def mark(self) -> bytes:
        """The entry for a message that does not lie here; who gets it says so, as of one that does."""
        with self._lock:
            return write_entry(Descriptor(self.identity, _NOTHING, _NOTHING, self._claims.next(), []))

    def stamp(self, slot: Slot, pieces: list[Piece], copies: int = 1) -> bytes:
        """The entry for the message in ``slot``, of which so many copies are sent now, as the next one."""
        last = pieces[-1]
        with self._lock:
            slot.stamp(self._claims.next(), last.offset + last.nbytes)
            self._claims.sent(slot.generation, slot, copies)
            self.nbytes += slot.used
        return write_entry(Descriptor(self.identity, slot.segment.number, slot.index, slot.generation, pieces))

    def withdraw(self, slot: Slot) -> None:
        """The message could not be sent. It is still in the slot."""
        with self._lock:
            self._claims.withdraw(slot.generation)
            self.nbytes -= slot.used
            slot.stamp(0, 0)

    # Messages that are kept while copies of them may be sent

    def begin(self, slot: Slot, pieces: list[Piece]) -> tuple[bytes, Lot]:
        """The entry for the message in ``slot``, of which copies may be sent for as long as the lot is kept."""
        last = pieces[-1]
        with self._lock:
            if self._ended:  # meanwhile, by another thread: nobody gets it
                slot.used = last.offset + last.nbytes
            else:
                slot.stamp(self._claims.next(), last.offset + last.nbytes)
                self._claims.begin(slot.generation, slot, slot.used)
                self.nbytes += slot.used
        entry = write_entry(Descriptor(self.identity, slot.segment.number, slot.index, slot.generation, pieces))
        return entry, Lot(slot, self._end_of_lot)

    def _end_lot(self, slot: Slot) -> None:
        if os.getpid() != self._process:  # a forked child's copy has gone, and not ours
            return
        with self._lock:
            if not self._ended:
                self._listen()  # or what somebody claims and nobody has heard of yet would seem to be free
                self._claims.end(slot.generation)
                self._sort_in()

    def address(self, lot: Lot, to: bytes, account: Readings | None = None) -> None:
        """A copy is sent to ``to``, whose ``account`` it is counted in."""
        with self._lock:
            if not self._ended:
                if account is not None:
                    account.add(lot.nbytes)
                self._claims.address(lot.generation, to, account)

    def take_back(self, lot: Lot, to: bytes, account: Readings | None = None) -> None:
        """That copy could not be sent."""
        with self._lock:
            if not self._ended:
                if self._claims.take_back(lot.generation, to) and account is not None:
                    account.add(-lot.nbytes, -1)
                self._sort_in()

    def forget(self, to: bytes) -> None:
        """An addressee has gone."""
        with self._lock:
            self._listen()
            self._claims.forget_addressee(to)
            self._sort_in()

    def exempt(self, lot: Lot, wanted: bool) -> None:
        """Let a message lie beside the budget; or do so no more."""
        with self._lock:
            self.nbytes += -lot.nbytes if wanted else lot.nbytes
            self._slots.extra += lot.room if wanted else -lot.room

    def attend(self, wanted: bool) -> None:
        """Have the thread hear at once what readers say: somebody waits for it who does not call; or do so no more."""
        with self._lock:
            if wanted is not self._attentive and not self._ended:
                self._attentive = wanted
                self._readers.attend(wanted)

    # What readers have said

    def _listen(self) -> None:
        """Take it in. To be called with the lock held."""
        if self._readers.hear():
            self._sort_in()

    def _settle(self) -> None:
        """Find out what has been lost with readers who have gone."""
        count = 0
        if self._peers is not None and self._closed_at is None:
            count = self._peers.refresh()
            if self._peers.disconnects > self._disconnects:  # what was sent to who never came here, or had left
                self._disconnects = self._peers.disconnects
                self._claims.suspect()
        if self._claims.in_doubt():
            self._claims.settle(count)
            self._sort_in()

    def _sort_in(self) -> None:
        for slot in self._claims.take_freed():
            self.nbytes -= slot.used
            slot.invalidate()
            self._slots.push(slot)

    def _work(self) -> bool:
        """What the thread does: let in who comes, and let go of who has gone."""
        with self._lock:
            if self._ended:
                return False
            self._readers.admit(self._slots.segments.values())
            self._listen()
            self._readers.flush()
            if self._keep is not None and time.monotonic() - self._tidied > self._keep:
                self._tidied = time.monotonic()
                self._claims.give_up_old()
                self._sort_in()
            self._end_if_done()
        if self._ended:
            self._stop()
        return True

    def situation(self) -> str:
        """Who holds how much, for errors."""
        with self._lock:
            self._listen()
            parts = []
            for reader, slots in self._claims.holdings().items():
                held = sum(slot.used for slot in slots)
                who = "not fetched yet" if reader is None else f"held by {reader}"
                parts.append(f"{len(slots)} messages, {held} bytes {who}")
            return f"shared memory of {self._slots.max_bytes} bytes: {'; '.join(parts) or 'all free'}"

    # The end

    def close(self, linger: float) -> None:
        """Send nothing more. What readers have yet to fetch is kept for them, for ``linger`` seconds beyond the end of
        the program if need be."""
        with self._lock:
            if self._closed_at is None:
                self._listen()
                self._closed_at, self._linger = time.monotonic(), linger
                self.attend(True)  # nobody else listens from now on
                self._end_if_done()
            if not self._ended:
                _lingering.add(self)
                close_at_end(self)
        if self._ended:
            self._stop()

    def _end_if_done(self) -> None:
        if self._closed_at is None or self._ended:
            return
        self._settle()
        waited = time.monotonic() - self._closed_at
        if self._claims.unclaimed > self._claims.in_doubt() and waited < max(_WAIT, self._linger):
            return
        if self._claims.unclaimed:
            warn(
                "%s: closed, and %d messages in shared memory were fetched by nobody",
                self._name,
                self._claims.unclaimed,
            )
        self._end()

    def _end(self) -> None:
        self._ended = True
        _lingering.discard(self)
        self._readers.close()
        self._lost += self._claims.lost
        self._claims = Claims()
        self._slots.close()

    def _stop(self) -> None:
        self._service.stop()
        self._readers.forget_news()

    def _close_blocking(self) -> None:
        """At the end of the program: give readers what is left of the time."""
        if self._closed_at is None or os.getpid() != self._process:
            return
        while not self._ended and time.monotonic() - self._closed_at < self._linger:
            time.sleep(0.005)
        with self._lock:
            if not self._ended:
                self._closed_at -= max(_WAIT, self._linger)
                self._end_if_done()
        self._stop()


_lingering: set[Lender] = set()  # closed, and kept for readers who have yet to come
