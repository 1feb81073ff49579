"""The sender's end of a lane (``lanes``): what went to one reader that way, and its receipts for that."""

from __future__ import annotations

import os
import socket
from collections import deque

from .errors import TransportError
from .lanes import HEAD, MOST
from .memory.receipts import ASLEEP, TAKEN, make_receipts
from .memory.slots import Slot

__all__ = ["Consignee"]

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
        self.waiting: deque[Slot] = deque()
        """On the lane, in order."""
        self.held: list[Slot] = []
        """Taken off it, and not let go of."""
        self.taken = 0
        """Messages taken."""

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

    def put(self, slot: Slot, after: int, message: bytes) -> bool:
        """Whether ``message``, which lies in ``slot``, is on the lane; if not, the socket has to carry it.

        ``after``: generation of the message that the socket carried last.
        """
        if len(message) > MOST or not slot.place:
            return False
        try:
            self.end.send(HEAD.pack(after, slot.generation, slot.place) + message)
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
        freed = [slot for slot in seen if words[slot.place] == slot.generation]
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
