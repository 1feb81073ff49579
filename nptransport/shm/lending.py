"""The sender's side of shared memory: messages in slots, each sent once or kept while copies of it are sent.

The slots themselves are in ``stock``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..codec.descriptor import Descriptor, Piece, write_entry, write_message, write_slot
from ..log import warn
from ..memory.leases import Readings
from ..memory.slots import Slot
from ..protocol.claims import Claims
from ..transport.ending import close_at_end
from ..transport.guard import forks
from ..transport.lanes import AHEAD
from ..transport.service import Service, weakly
from .consignee import Consignee
from .stock import Peers, Stock

__all__ = ["CROSSOVER", "Lender", "Lot"]

CROSSOVER = 64 * 1024  # bytes of content from which shared memory is the quicker way if ZeroMQ tells of it
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


class Lender(Stock):
    """Lends the shared memory of one endpoint that sends.

    Args:
        name: of the endpoint, for the log.
        folder: where the side channel's socket is to be.
        max_bytes: of shared memory, all slots together; of messages larger than half of that, two.
        peers: who is connected to the endpoint, whether they have come here or not. None: all copies are addressed,
            and who has gone is told by :meth:`forget`, or is seen here.
        keep: seconds, up to twice as many, that a copy waits for an addressee who does not fetch it; None: no end.
        with_lanes: have messages go past ZeroMQ where they can (``lanes``).
    """

    def __init__(
        self,
        name: str,
        folder: str,
        max_bytes: int,
        peers: Peers | None,
        *,
        keep: float | None = None,
        with_lanes: bool = False,
    ) -> None:
        super().__init__(name, folder, max_bytes, peers, with_lanes=with_lanes)
        self._keep = keep
        self._linger = 0.0
        self._attentive = False
        self._tidied = time.monotonic()
        self._forks = forks.watch()
        self._end_of_lot = weakly(self._end_lot)
        self._service = Service(f"shared memory of {name}", [self._readers.news], self._work)

    def awaits(self) -> bool:
        """Whether messages that lie here have been sent and not been fetched, and not by the death of their readers."""
        with self._lock:
            self.look()
            waits = self._count_waiting() > self._claims.in_doubt()
            return self.awaits() if self._consignees.sleep(waits) else waits

    # Messages

    def is_stuck(self) -> bool:
        """Whether the slots that are missing may never come back by themselves: whom they went to has died. A message
        beside them, with :meth:`mark`, finds out."""
        with self._lock:
            return self._claims.in_doubt() > 0

    def mark(self) -> bytes:
        """The entry for a message that does not lie here; who gets it says so, as of one that does."""
        with self._lock:
            return write_entry(Descriptor(self.identity, _NOTHING, _NOTHING, self._claims.next(), []))

    def stamp(self, slot: Slot, pieces: list[Piece]) -> bytes:
        """The entry for the message in ``slot``, which is the next one to be sent."""
        last = pieces[-1]
        with self._lock:
            slot.stamp(self._claims.next(), last.offset + last.nbytes)
        return write_entry(Descriptor(self.identity, slot.segment.number, slot.index, slot.generation, pieces))

    def stamp_alone(self, slot: Slot, nbytes: int) -> bytes:
        """As :meth:`stamp`, for a message of nothing but one buffer of ``nbytes``."""
        generation = slot.generation = self._claims.next()
        slot.used = nbytes
        slot.stamp_memory(generation, nbytes)
        if not slot.entry:
            slot.entry = write_slot(self.identity, slot.segment.number, slot.index)
        return write_message(slot.entry, generation, nbytes)

    def _lane(self) -> Consignee | None:
        """To whom messages go past ZeroMQ, if there is room on the lane."""
        consignee = self._consignees.only
        if consignee is None or len(self._claims.waiting) + len(consignee.waiting) >= AHEAD:
            return None
        return consignee

    def consign(self, slot: Slot, message: bytes, after: int, body: bytes | None = None) -> bool:
        """Whether ``message``, which was stamped, went past ZeroMQ to the only reader there is; ``after`` and ``body``
        as for :meth:`Consignee.put`."""
        with self._lock:
            consignee = self._lane()
            if consignee is None or not consignee.put(slot, after, message, body):
                return False
            self.nbytes += slot.used
            return True

    def consign_again(self, slot: Slot, nbytes: int, after: int, body: bytes, sequence: int, sent_at: float) -> int:
        """As :meth:`consign`, for an array of ``nbytes`` that was not stamped, if the last message was of one like it:
        how long its metadata would be, or 0."""
        with self._lock:
            consignee = self._lane()
            if consignee is None or consignee.body is not body:
                return 0
            slot.stamp(self._claims.next(), nbytes)
            if not consignee.put_again(slot, after, sequence, sent_at):
                return 0
            self.nbytes += nbytes
            return consignee.length

    def sends(self, slot: Slot) -> None:
        """The message in ``slot``, which was stamped, is sent by ZeroMQ now."""
        with self._lock:
            self._claims.sent(slot.generation, slot)
            self.nbytes += slot.used

    def withdraw(self, slot: Slot) -> None:
        """It could not be sent. It is still in the slot."""
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
        if forks.count != self._forks:  # a forked child's copy has gone, and not ours
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

    def _work(self) -> bool:
        """What the thread does: let in who comes, and let go of who has gone."""
        with self._lock:
            if self._ended:
                return False
            admitted = self._readers.admit(self._slots.segments.values())
            self._listen()
            self._readers.flush()
            if self._keep is not None and time.monotonic() - self._tidied > self._keep:
                self._tidied = time.monotonic()
                self._claims.give_up_old()
                self._sort_in()
            self._end_if_done()
        if self._ended:
            self._stop()
        return admitted

    # The end

    def close(self, linger: float) -> None:
        """Send nothing more. What readers have yet to fetch is kept for them, for ``linger`` seconds beyond the end of
        the program if need be."""
        with self._lock:
            if self._closed_at is None:
                self.attend(True)  # nobody else listens from now on
                self._listen()
                self._closed_at, self._linger = time.monotonic(), linger
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
        waiting = self._count_waiting()
        if waiting > self._claims.in_doubt() and waited < max(_WAIT, self._linger):
            return
        if self.unfetched:
            warn("%s: closed, and %d messages in shared memory were fetched by nobody", self._name, self.unfetched)
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
        if self._closed_at is None or forks.count != self._forks:
            return
        while not self._ended and self.unfetched and time.monotonic() - self._closed_at < self._linger:
            time.sleep(0.005)
        with self._lock:
            if not self._ended:
                self._closed_at -= max(_WAIT, self._linger)
                self._end_if_done()
        self._stop()


_lingering: set[Lender] = set()  # closed, and kept for readers who have yet to come
