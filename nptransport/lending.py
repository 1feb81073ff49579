"""The sender's side of shared memory: slots to write into, and a side channel where readers fetch and return them.

A reader connects to the side channel when it first meets a message that lies here. It is given the segments, then says
which messages it claims and releases. Its end, however it comes, closes the connection, and what it held is free.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time
import weakref
from typing import Protocol

from .descriptor import Descriptor, Piece, write_entry
from .ending import close_at_end
from .errors import AddressError
from .folders import allowed_users, side_channel
from .log import warn
from .memory.leases import Readings
from .memory.segments import Segment
from .memory.slots import Slot, Slots
from .protocol.claims import Claims
from .service import Service, weakly
from .sidechannel import GONE, HELLO, LEAVE, NAME, OFFER, RECORD, RELEASE, listen, named, peer_of

__all__ = ["CROSSOVER", "Lender", "Lot", "Peers"]

CROSSOVER = 32 * 1024  # bytes of content from which shared memory is the quicker way
# Messages that wait for a reader: as many, or that much. With more, the processor's cache holds them no more.
_DEPTH, _DEPTH_BYTES = 4, 2**22
_NOTHING = 2**32 - 1
_WAIT = 60.0  # seconds that what nobody has fetched is kept for readers who were never heard of
_READERS = 1024
_WORDS = struct.Struct("<Q")


class _Reader:
    """A connection to somebody who reads."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.greeted = False
        self.rest = b""
        self.unsent: list[tuple[bytes, int | None]] = []

    def __str__(self) -> str:
        return named(self.pid)


class Lot:
    """A message in shared memory of which copies may be sent for as long as this is kept."""

    __slots__ = ("__weakref__", "generation", "nbytes", "room")

    def __init__(self, slot: Slot) -> None:
        self.generation, self.nbytes = slot.generation, slot.used
        self.room = slot.array.nbytes


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
            and who has gone is told by :meth:`forget`.
    """

    def __init__(self, name: str, folder: str, max_bytes: int, peers: Peers | None) -> None:
        self._name, self._peers = name, peers
        self._disconnects = 0 if peers is None else peers.disconnects
        self.identity = os.urandom(8)
        self._users = allowed_users()
        self._slots = Slots(max_bytes)
        self._claims: Claims[Slot] = Claims()
        self._readers: dict[int, _Reader] = {}
        self._lock = threading.RLock()
        self._closed_at: float | None = None
        self._linger = 0.0
        self._attentive = False
        self._lost = 0
        self.nbytes = 0
        """Bytes of messages that have been sent and are not free again, without those that are exempt."""
        self._ended = False
        self._path = side_channel(folder, self.identity)
        self._process = os.getpid()
        try:
            self._listener = listen(folder, self.identity, for_others=len(self._users) > 1)
        except OSError as error:
            raise AddressError(
                f"{name}: cannot make a socket in {folder} ({error.strerror}), at which memory is handed out; make the "
                "folder one that you may write to",
                address=name,
            ) from None
        self._words = select.epoll()  # what readers say
        self._news = select.epoll()  # who comes and who goes: what the thread looks at, and nothing else wakes it
        self._news.register(self._listener, select.EPOLLIN)
        self._service = Service(f"shared memory of {name}", [self._news.fileno()], self._work)

    @property
    def descriptor(self) -> int:
        """Readable when a reader has said something: a slot may be free."""
        return self._words.fileno()

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
            return False
        slot.generation = 0
        return True

    def _grow(self, nbytes: int) -> Slot | None:
        segment, gone = self._slots.grow(nbytes)
        for each in gone:
            self._tell(RECORD.pack(GONE, each.number), None)
        if segment is None:
            return None
        self._tell(RECORD.pack(OFFER, segment.number), segment)
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

    # Messages of which each copy is addressed

    def begin(self, slot: Slot, pieces: list[Piece]) -> tuple[bytes, Lot]:
        """The entry for the message in ``slot``, of which copies may be sent for as long as the lot is kept."""
        last = pieces[-1]
        with self._lock:
            slot.stamp(self._claims.next(), last.offset + last.nbytes)
            self._claims.begin(slot.generation, slot, slot.used)
            self.nbytes += slot.used
        entry = write_entry(Descriptor(self.identity, slot.segment.number, slot.index, slot.generation, pieces))
        lot = Lot(slot)
        weakref.finalize(lot, weakly(self._end_lot), slot).atexit = False
        return entry, lot

    def _end_lot(self, slot: Slot) -> None:
        with self._lock:
            if not self._ended:
                self._claims.end(slot.generation)
                self._sort_in()

    def address(self, lot: Lot, to: bytes, account: Readings) -> None:
        """A copy is sent to ``to``, whose ``account`` it is counted in."""
        with self._lock:
            account.add(lot.nbytes)
            self._claims.address(lot.generation, to, account)

    def take_back(self, lot: Lot, to: bytes, account: Readings) -> None:
        """That copy could not be sent."""
        with self._lock:
            account.add(-lot.nbytes, -1)
            self._claims.take_back(lot.generation, to)
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
                if wanted:
                    self._news.register(self._words, select.EPOLLIN)
                else:
                    self._news.unregister(self._words)

    # Readers

    def _listen(self) -> None:
        """Take in what readers have said. To be called with the lock held."""
        heard = self._words.poll(0)
        if not heard:
            return
        for descriptor, _ in heard:
            reader = self._readers[descriptor]
            try:
                words = reader.connection.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                words = b""
            if not words:
                self._part_from(reader)
            elif not self._heed(reader, words):
                warn("%s: %s broke the rules of the side channel, and is cut off", self._name, reader)
                self._part_from(reader)
        self._sort_in()

    def _heed(self, reader: _Reader, words: bytes) -> bool:
        if reader.rest:
            words = reader.rest + words
        if not reader.greeted:
            if len(words) < len(HELLO) + NAME:
                reader.rest = words
                return HELLO.startswith(words[: len(HELLO)])
            if not words.startswith(HELLO):
                return False
            reader.greeted = True
            self._claims.join(reader, words[len(HELLO) : len(HELLO) + NAME])
            words = words[len(HELLO) + NAME :]
        whole = len(words) & ~7
        reader.rest = words[whole:]
        claims = self._claims
        for (word,) in _WORDS.iter_unpack(words[:whole]):
            if word == LEAVE:
                claims.leave(reader)
            elif word & RELEASE:
                claims.release(reader, word ^ RELEASE)
            else:
                claims.claim(reader, word)
        return True

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

    def _part_from(self, reader: _Reader) -> None:
        descriptor = reader.connection.fileno()
        del self._readers[descriptor]
        self._words.unregister(descriptor)
        self._news.unregister(descriptor)
        reader.connection.close()
        if reader.greeted:
            self._claims.gone(reader)
            self._sort_in()

    def _work(self) -> bool:
        """What the thread does: let in who comes, and let go of who has gone."""
        with self._lock:
            if self._ended:
                return False
            for descriptor, _ in self._news.poll(0):
                if descriptor == self._listener.fileno():
                    self._accept()
            self._listen()
            for reader in list(self._readers.values()):
                if reader.unsent:
                    self._flush(reader)
            self._end_if_done()
        if self._ended:
            self._stop()
        return True

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        pid, user = peer_of(connection)
        if user not in self._users or len(self._readers) >= _READERS:
            warn("%s: %s of user %d is not let at the shared memory", self._name, named(pid), user)
            connection.close()
            return
        connection.setblocking(False)
        reader = self._readers[connection.fileno()] = _Reader(connection, pid)
        self._words.register(connection, select.EPOLLIN)
        self._news.register(connection, 0)  # its end, and nothing else
        for segment in self._slots.segments.values():
            self._send(reader, RECORD.pack(OFFER, segment.number), segment)

    def _tell(self, record: bytes, segment: Segment | None) -> None:
        for reader in self._readers.values():
            self._send(reader, record, segment)

    def _send(self, reader: _Reader, record: bytes, segment: Segment | None) -> None:
        # A duplicate, as the segment may be given up before a slow reader has been told of it.
        reader.unsent.append((record, None if segment is None else os.dup(segment.descriptor)))
        self._flush(reader)

    def _flush(self, reader: _Reader) -> None:
        while reader.unsent:
            record, descriptor = reader.unsent[0]
            try:
                if descriptor is None:
                    reader.connection.send(record)
                else:
                    socket.send_fds(reader.connection, [record], [descriptor])
            except BlockingIOError:
                return  # the thread tries again
            except OSError as error:
                if error.errno is not None and reader.connection.fileno() >= 0 and _is_passing(error):
                    return
            reader.unsent.pop(0)
            if descriptor is not None:
                os.close(descriptor)

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
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._listener.close()
        for reader in self._readers.values():
            for _, descriptor in reader.unsent:
                if descriptor is not None:
                    os.close(descriptor)
            reader.connection.close()
        self._readers.clear()
        self._lost += self._claims.lost
        self._claims = Claims()
        self._words.close()
        self._slots.close()

    def _stop(self) -> None:
        self._service.stop()
        self._news.close()

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


def _is_passing(error: OSError) -> bool:
    """Whether a descriptor could not be handed over since too many are on their way."""
    return error.errno in (errno.ETOOMANYREFS, errno.EMFILE, errno.ENOBUFS, errno.ENOMEM)
