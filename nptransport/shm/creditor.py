"""One sender's shared memory, as a reader sees it: which messages are looked at, and what the sender is told."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
import weakref
from typing import Any

from ..codec.descriptor import KEY, Descriptor
from ..errors import DecodeError
from ..memory.receipts import ASLEEP, PLACES, TAKEN, WORDS, map_receipts
from ..memory.segments import Mapping
from ..transport.ending import close_at_end
from ..transport.guard import close_in_child, forks
from ..transport.lanes import Lane, Lanes
from ..transport.steps import wait_for
from .mappings import Mappings, close_all, memory_lost, receive
from .sidechannel import CLOSED, GONE, LANE, LEAVE, LISTENS, NEWS, OFFER, RECEIPTS, RECORD, RELEASE

__all__ = ["Creditor"]

_USUALLY = 0.05  # seconds in which a sender has handed over memory that it has spoken of
_LAST_WORDS = 0.5  # seconds that an endpoint which closes takes to say what it has read
_WORD = struct.Struct("<Q")


class _Hold(weakref.ref[Any]):
    """Notices that nobody looks at a message any more."""

    __slots__ = ("generation", "lender", "place")

    generation: int
    place: int
    lender: Creditor


def _released(hold: _Hold) -> None:
    if not sys.is_finalizing():  # then a thread may have ended with the lock; and the sender is about to hear it anyway
        hold.lender.release(hold.generation, hold.place)


class Creditor:
    """The connection to one sender."""

    def __init__(self, connection: socket.socket, path: str, lanes: Lanes | None = None) -> None:
        self._connection, self._lanes = connection, lanes
        self._forks = forks.count
        close_in_child(self)
        self._mappings = Mappings(path)
        self._held: dict[int, _Hold] = {}
        self._receipts: memoryview[int] | None = None
        self._given, self._place = 0, 0  # what came off the lane last, until it is looked at
        self._lock = threading.RLock()  # an array may go in whatever thread, even inside this class
        self._unsaid: list[bytes] = []
        self._rest = b""
        self._lane: Lane | None = None
        self._speaking = self._retrying = self._leaving = self._refused = self._has_lane = False
        self._has_closed = False  # and was not killed: then nobody keeps what it had sent
        self.claimed = 0
        """Generation of the newest message that was claimed."""
        self.gone_at: float | None = None
        """When it was seen that the sender has gone."""

    def take(self, generation: int, place: int) -> None:
        """A message comes off the lane. It is ours from the start, and let go of by a receipt, at that ``place``."""
        if self._place:
            self._let_go_of_given()
        receipts = self._receipts
        if receipts is not None and PLACES <= place < WORDS:
            receipts[TAKEN] = generation
            self._given, self._place = generation, place
            if receipts[ASLEEP]:
                self._say(NEWS)

    def _let_go_of_given(self) -> None:
        """What came off the lane last could not be read, if nobody has looked at it by now."""
        if self._place:
            place, self._place = self._place, 0
            self._let_go(self._given, place)

    def borrow(self, number: int, index: int, generation: int) -> memoryview:
        """The message in a slot, which is held for as long as anything refers to this view or one on it."""
        if generation > self.claimed:
            self.claimed = generation
        if self._place and generation == self._given:
            place, self._place = self._place, 0
        else:  # First the claim, then the look whether it is still there: the sender does it the other way round.
            place = 0
            self._say(generation)
        try:
            array = (self._mappings.get(number) or self._await(number)).read(index, generation)
        except DecodeError:
            held = self._held.get(generation)
            if held is None:
                self._let_go(generation, place)
            else:  # the true one is looked at
                held.place = held.place or place
            raise
        held = self._held.get(generation)
        if held is not None:
            before = held()
            if before is not None:  # it has come twice
                held.place = held.place or place
                return before.data
        hold = self._held[generation] = _Hold(array, _released)
        hold.generation, hold.lender, hold.place = generation, self, place
        return array.data  # which keeps the array; NumPy's views on views do not

    def read(self, descriptor: Descriptor) -> list[tuple[int, memoryview]]:
        _, number, index, generation, pieces = descriptor
        if not pieces:
            self.claimed = max(self.claimed, generation)
            self._say(generation)
            self._say(generation | RELEASE)
            return []
        content = self.borrow(number, index, generation)
        size = len(content)
        for _, offset, nbytes in pieces:
            if offset + nbytes > size:
                del content  # or who keeps the error would keep the message
                raise DecodeError.of(
                    KEY,
                    expected=f"a part within the {size} bytes of its message",
                    found=f"{nbytes} from {offset} on",
                )
        return [(at, content[offset : offset + nbytes]) for at, offset, nbytes in pieces]

    def _await(self, number: int) -> Mapping:
        """The segment of that number, which is not mapped yet."""
        until = time.monotonic() + _USUALLY
        while True:
            self.take_in()
            mapping = self._mappings.get(number)
            if mapping is not None:
                return mapping
            left = until - time.monotonic()
            if self.gone_at is not None:
                raise memory_lost("nobody: it has gone")
            if left <= 0 or number in self._mappings.failed:
                return self._mappings.ask_again(number)
            wait_for(self._connection.fileno(), left)

    def take_in(self) -> None:
        """Map what is offered. DecodeError for what nobody may offer."""
        with self._lock:
            while self.gone_at is None:
                try:
                    record, descriptors = receive(self._connection)
                except BlockingIOError:
                    return
                except OSError:
                    record, descriptors = b"", []
                try:
                    self._heed(record, descriptors)
                finally:
                    close_all(descriptors)

    def _heed(self, record: bytes, descriptors: list[int]) -> None:
        if len(record) != RECORD.size:
            self.cut()
            return
        what, number = RECORD.unpack(record)
        if what == OFFER:
            self._mappings.map(number, descriptors)
        elif what == GONE:
            self._mappings.unmap(number)
        elif what == CLOSED:
            self._has_closed = True
        elif what == RECEIPTS and descriptors and self._receipts is None:
            with contextlib.suppress(DecodeError, OSError):  # no memory for them, maybe: then without a lane
                self._receipts = map_receipts(descriptors[0])
        elif what == LANE and descriptors and self._lanes is not None and not self._has_lane:
            self._has_lane = True
            if self._receipts is not None:
                self._add_lane(self._lanes, descriptors[0])

    def _add_lane(self, lanes: Lanes, descriptor: int) -> None:
        try:
            end = os.dup(descriptor)
        except OSError:  # no more descriptors: then without
            return
        try:
            self._lane = lanes.add(socket.socket(fileno=end), self)
        except OSError:
            os.close(end)
            raise DecodeError.of("shared memory", expected="a lane", found="what is no socket") from None

    def listen(self) -> None:
        """Its lane is looked at from now on."""
        self._say(LISTENS)

    def refuse(self) -> None:
        """Nothing more is heard from there, nor said: it breaks the rules, or there is no memory to map what it offers.
        The connection stays for as long as something is held; with its end that would be written over."""
        with self._lock:
            if self.gone_at is None:
                self.gone_at = time.monotonic()
            self._refused = True
            if not self._held:
                self.cut()

    def cut(self) -> None:
        """Nothing more is heard from there, nor said, and nothing is held."""
        with self._lock:
            if self.gone_at is None:
                self.gone_at = time.monotonic()
            self._connection.close()
            self._receipts = None

    def may_be_read(self) -> bool:
        """Whether something of a sender that has closed is still to be taken off its lane, or to be looked at."""
        return self._has_closed and self._lane is not None and not (self._lane.is_drained() and not self._place)

    def close_in_child(self) -> None:
        self._connection.close()

    def fileno(self) -> int:
        """Of the connection; -1 once it is closed."""
        return self._connection.fileno()

    def leave(self) -> None:
        """Claim no more; once the last array has gone, so does the connection."""
        if forks.count != self._forks:  # the connection is the parent's, which goes on
            self._mappings.clear()
            return
        with self._lock:
            self._leaving = True
            self._let_go_of_given()
            self._mappings.clear()
            if self._held:
                _leaving.add(self)
                close_at_end(self)
            self._say(LEAVE)
            deadline = time.monotonic() + _LAST_WORDS
            while self._unsaid or self._rest:  # the sender is to know what has been read
                if self.gone_at is not None or time.monotonic() > deadline:
                    break
                wait_for(self._connection.fileno(), 0.05, writable=True)
                self._speak()
            if not self._held:
                self.cut()

    def _close_blocking(self) -> None:
        """The program ends. Nothing more is said; the system ends the connection, when what is held has gone, too."""
        self._connection.detach()

    def _let_go(self, generation: int, place: int) -> None:
        receipts = self._receipts
        if place and receipts is not None:
            receipts[place] = generation
            if receipts[ASLEEP]:
                self._say(NEWS)
        else:
            self._say(generation | RELEASE)

    def release(self, generation: int, place: int = 0) -> None:
        """Nobody looks at that message any more. May be called from any thread."""
        if forks.count != self._forks:  # a forked child's copy has gone, and not ours
            return
        self._held.pop(generation, None)
        self._let_go(generation, place)
        if (self._leaving or self._refused) and not self._held:
            _leaving.discard(self)
            if not self._unsaid or self._refused:
                self.cut()

    def _say(self, word: int) -> None:
        with self._lock:
            if not self._unsaid and not self._rest and self.gone_at is None:
                try:
                    if self._connection.send(_WORD.pack(word)) == _WORD.size:
                        return
                except OSError:
                    pass  # it is found out below
            self._unsaid.append(_WORD.pack(word))
            self._speak()

    def _speak(self) -> None:
        if self._speaking:  # an array has gone while we speak: who speaks goes on until nothing is left
            return
        self._speaking = True
        try:
            while (self._unsaid or self._rest) and self.gone_at is None:
                words, self._unsaid = self._unsaid, []
                self._rest = self._rest + b"".join(words) if self._rest else b"".join(words)
                sent = self._connection.send(self._rest)
                self._rest = self._rest[sent:]
        except BlockingIOError:
            self._retry()
        except OSError:
            self._rest = b""
        finally:
            self._speaking = False

    def _retry(self) -> None:
        # The sender does not listen; then it does not wait for memory either. But in the end it has to hear it.
        if not self._retrying:
            self._retrying = True
            with contextlib.suppress(RuntimeError):  # the program ends
                threading.Thread(target=self._go_on_speaking, daemon=True).start()

    def _go_on_speaking(self) -> None:
        while self._retrying:
            with contextlib.suppress(OSError, ValueError):
                wait_for(self._connection.fileno(), 1.0, writable=True)
            with self._lock:
                self._speak()
                self._retrying = self.gone_at is None and bool(self._unsaid or self._rest)
        if self._leaving and not self._held:
            self.cut()


_leaving: set[Creditor] = set()  # of endpoints that are closed, while arrays are left
