"""The sender's end of a lane (``lanes``): what went to one reader that way, and its receipts for that."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Hashable, Iterator

from ..errors import TransportError
from ..memory.receipts import ASLEEP, TAKEN, make_receipts
from ..memory.slots import Slot
from ..transport.guard import close_in_child
from ..transport.lanes import AGAIN, HEAD, MOST

__all__ = ["Consignee", "Consignees"]

_SOME = 8  # messages held that are looked through each time; all are only if memory is wanted


class Consignee:
    """Messages that went to one reader and nobody else.

    They are its own from the start: nobody has to claim them, and each is free once the reader's receipt is there, or
    the reader has gone.
    """

    def __init__(self) -> None:
        self.end, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.setblocking(False)
        try:
            self._receipts, self._words = make_receipts()
        except TransportError:
            self._theirs.close()
            self.end.close()
            raise
        close_in_child(self)
        self.waiting: deque[Slot] = deque()
        """On the lane, in order."""
        self.held: list[Slot] = []
        """Taken off it, and not let go of."""
        self.taken = 0
        """Messages taken."""
        self.body: bytes | None = None
        """How the metadata of the last message that went whole ends, if the next may be told of as like it,"""
        self.length = 0
        """and how long it was."""

    @property
    def to_hand_over(self) -> tuple[int, int]:
        """Descriptors for the reader, until :meth:`handed_over`: of its receipts, and of its end of the lane."""
        return self._receipts, self._theirs.fileno()

    def handed_over(self) -> None:
        """The reader has them, or will."""
        os.close(self._receipts)
        self._theirs.close()

    def sleeps(self, wanted: bool) -> None:
        """Have the reader say by other means, too, that there are receipts; or do so no more."""
        self._words[ASLEEP] = wanted

    def put(self, slot: Slot, after: int, message: bytes, body: bytes | None = None) -> bool:
        """Whether the ``message``, which lies in ``slot``, is on the lane; if not, the socket has to carry it.

        Args:
            after: generation of the message that the socket carried last.
            body: how the metadata ends, as its encoder keeps that, if it is of one array that is all in the slot.
        """
        if len(message) > MOST or not self._put(slot, HEAD.pack(after, slot.generation, slot.place) + message):
            return False
        self.body, self.length = body, len(message)
        return True

    def put_again(self, slot: Slot, after: int, sequence: int, sent_at: float) -> bool:
        """As :meth:`put`, for a message that is like the last one, whose ``body`` is that very one."""
        place = slot.place, slot.segment.number, slot.index
        return self._put(slot, AGAIN.pack(after, slot.generation, *place, sequence, sent_at))

    def _put(self, slot: Slot, record: bytes) -> bool:
        if not slot.place:
            return False
        try:
            self.end.send(record)
        except OSError:  # full; or the reader has gone, which its side channel tells
            return False
        self.waiting.append(slot)
        return True

    def newest(self) -> int:
        """Generation of the newest message that was taken."""
        return self._words[TAKEN]

    def take_freed(self, *, all_of_them: bool = False) -> list[Slot]:
        """Those that were let go of since this was asked last, or those of them that are seen at a glance."""
        words, waiting, held = self._words, self.waiting, self.held
        if waiting:
            taken = words[TAKEN]
            while waiting and waiting[0].generation <= taken:
                held.append(waiting.popleft())
                self.taken += 1
        seen = held if all_of_them or len(held) <= _SOME else held[:_SOME]
        freed = []
        for slot in seen:
            if words[slot.place] == slot.generation:
                freed.append(slot)  # noqa: PERF401 - a comprehension is a call more before Python 3.12
        if len(freed) == 1:
            held.remove(freed[0])
        elif freed:
            gone = set(freed)
            self.held = [slot for slot in held if slot not in gone]
        return freed

    def give_up(self) -> list[Slot]:
        """The reader takes nothing more: those that it has not taken. What it holds, it goes on to hold."""
        left = list(self.waiting)
        self.waiting.clear()
        return left

    def close(self) -> None:
        self.end.close()

    def close_in_child(self) -> None:
        self.end.close()


class Consignees:
    """All of them that one sender has, by the reader that each is. Not thread-safe."""

    def __init__(self) -> None:
        self._all: dict[Hashable, Consignee] = {}
        self.only: Consignee | None = None
        """The one to whom everything goes."""
        self.asleep = False
        """Whether readers say by other means, too, that there are receipts."""
        self._freed: list[Slot] = []
        self.lost = 0
        """Messages that were on a lane, and that nobody took."""

    def add(self, reader: Hashable) -> Consignee | None:
        """A new one; None if there is no memory for its receipts, or no descriptor: then ZeroMQ carries everything."""
        try:
            consignee = self._all[reader] = Consignee()
        except (TransportError, OSError):
            return None
        consignee.sleeps(self.asleep)
        return consignee

    def choose(self, reader: Hashable | None) -> None:
        """Everything goes to that one from now on; None: to nobody alone."""
        self.only = self._all.get(reader)

    def sleep(self, wanted: bool) -> bool:
        """Have readers say by other means, too, that there are receipts, as somebody may wait for those; or do so no
        more. True if they did not before: then those that are there already have to be looked for."""
        if wanted is self.asleep:
            return False
        self.asleep = wanted
        for consignee in self._all.values():
            consignee.sleeps(wanted)
        return wanted

    # What receipts say

    def collect(self) -> bool:
        """Look at all of them; whether slots are free by that."""
        before = len(self._freed)
        for consignee in self._all.values():
            self._freed += consignee.take_freed(all_of_them=True)
        return len(self._freed) > before

    def take_freed(self) -> list[Slot]:
        """Slots that are free, by receipts or by their reader's end, since this was asked last."""
        freed, self._freed = self._freed, []
        return freed

    @property
    def waiting(self) -> int:
        """Messages that are on a lane."""
        return sum(len(each.waiting) for each in self._all.values())

    @property
    def taken(self) -> int:
        """Messages that were taken off the lanes of those who are here."""
        return sum(each.taken for each in self._all.values())

    def newest(self) -> Iterator[tuple[Hashable, int]]:
        """Each reader, and the generation of the newest message that it took."""
        return ((reader, consignee.newest()) for reader, consignee in self._all.items())

    def holdings(self) -> Iterator[tuple[Hashable, list[Slot]]]:
        """Each reader, and what it holds; None: what is on its lane."""
        for reader, consignee in self._all.items():
            yield reader, consignee.held
            yield None, list(consignee.waiting)

    # Their end

    def give_up(self, reader: Hashable) -> None:
        """It takes nothing more."""
        consignee = self._all.get(reader)
        if consignee is not None:
            self._freed += consignee.take_freed(all_of_them=True)
            left = consignee.give_up()
            self._freed += left
            self.lost += len(left)

    def drop(self, reader: Hashable) -> None:
        """It has gone, and holds nothing."""
        self.give_up(reader)
        consignee = self._all.pop(reader, None)
        if consignee is not None:
            self._freed += consignee.held
            consignee.close()

    def close(self) -> None:
        self.only = None
        for consignee in self._all.values():
            consignee.close()
        self._all.clear()
