"""The sender's end of side channels: who reads is let in, handed the segments, and heard.

A reader connects when it first meets a message that lies here, and says which messages it claims and releases. Its end,
however it comes, closes the connection.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Iterable

from ..errors import AddressError
from ..log import Complaints
from ..memory.segments import Segment
from ..memory.slots import Slot
from ..protocol.claims import Claims
from ..transport.folders import allowed_users, side_channel
from ..transport.guard import close_in_child
from .consignee import Consignees
from .sidechannel import (
    CLOSED,
    GONE,
    HELLO,
    LANE,
    LEAVE,
    LISTENS,
    NAME,
    NEWS,
    OFFER,
    RECEIPTS,
    RECORD,
    RELEASE,
    listen,
    named,
    peer_of,
)

__all__ = ["Readers"]

_READERS = 1024
_BYTES = 2**15  # that are heard at a time
_WORDS = struct.Struct("<Q")


class _Reader:
    """A connection to somebody who reads."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection, self.pid = connection, pid
        self.greeted = False
        self.rest = b""
        self.unsent: list[tuple[bytes, int | None]] = []
        self.listens = False
        """Whether it takes messages off its lane."""

    def __str__(self) -> str:
        return named(self.pid)


class Readers:
    """Those who read what one endpoint sends. Not thread-safe.

    Args:
        name: of the endpoint, for the log.
        folder: where the socket is to be at which they come.
        identity: of the sender.
        claims: hears what they say.
        with_lanes: make each of them a lane.
    """

    def __init__(
        self, name: str, folder: str, identity: bytes, claims: Claims[Slot], *, with_lanes: bool = False
    ) -> None:
        self._name, self._claims = name, claims
        self._with_lanes = with_lanes
        self.consignees = Consignees()
        """Those to whom messages may go past ZeroMQ."""
        self._complaints = Complaints()
        self._users = allowed_users()
        self._readers: dict[int, _Reader] = {}
        self._only: _Reader | None = None
        self._hearing = False
        self.path = side_channel(folder, identity)
        try:
            self._listener = listen(folder, identity, for_others=len(self._users) > 1)
        except OSError as error:
            raise AddressError(
                f"{name}: cannot make a socket in {folder} ({error.strerror}), at which memory is handed out; make the "
                "folder one that you may write to",
                address=name,
            ) from None
        close_in_child(self)
        self._words = select.epoll()  # what they say
        self._news = select.epoll()  # who comes and who goes: what a thread looks at, and nothing else wakes it
        self._news.register(self._listener, select.EPOLLIN)

    @property
    def words(self) -> int:
        """A descriptor that is readable when somebody has said something."""
        return self._words.fileno()

    @property
    def news(self) -> int:
        """A descriptor that is readable when somebody has come or gone."""
        return self._news.fileno()

    def attend(self, wanted: bool) -> None:
        """Have :attr:`news` tell of words, too; or do so no more."""
        self.consignees.sleep(wanted)
        if wanted:
            self._news.register(self._words, select.EPOLLIN)
        else:
            self._news.unregister(self._words)

    # What they say

    def hear(self) -> bool:
        """Take in what has been said, and what receipts say; whether anything was."""
        if self._hearing:  # garbage is collected while we listen, and a message with it: words keep their order
            return False
        self._hearing = True
        try:
            heard = self.consignees.collect()
            if self._only is not None:  # as mostly: no need to ask who has spoken
                return self._hear(self._only) or heard
            for descriptor, _ in self._words.poll(0):
                heard |= self._hear(self._readers[descriptor])
            return heard
        finally:
            self._hearing = False

    def _hear(self, reader: _Reader) -> bool:
        try:
            words = reader.connection.recv(_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            words = b""
        if not words:
            self._part_from(reader)
        elif not self._heed(reader, words):
            self._complaints.say("%s: %s broke the rules of the side channel, and is cut off", self._name, reader)
            self._part_from(reader)
        return True

    def _heed(self, reader: _Reader, words: bytes) -> bool:
        if reader.rest:
            words, reader.rest = reader.rest + words, b""
        if not reader.greeted:
            if len(words) < len(HELLO) + NAME:
                reader.rest = words
                return HELLO.startswith(words[: len(HELLO)])
            if not words.startswith(HELLO):
                return False
            reader.greeted = True
            self._claims.join(reader, words[len(HELLO) : len(HELLO) + NAME])
            words = words[len(HELLO) + NAME :]
            consignee = self.consignees.add(reader) if self._with_lanes else None
            if consignee is not None:
                for what, descriptor in zip((RECEIPTS, LANE), consignee.to_hand_over, strict=True):
                    if not self._tell(reader, RECORD.pack(what, 0), descriptor):  # then without a lane
                        self.consignees.drop(reader)
                        break
                consignee.handed_over()
            self._find_consignee()
        if len(words) & 7:
            whole = len(words) & ~7
            words, reader.rest = words[:whole], words[whole:]
        claims = self._claims
        for (word,) in _WORDS.iter_unpack(words):
            if word == LEAVE:
                claims.leave(reader)
                self.consignees.give_up(reader)
                self._find_consignee()
            elif word == LISTENS:
                reader.listens = True
                self._find_consignee()
            elif word == NEWS:
                continue
            elif word & RELEASE:
                claims.release(reader, word ^ RELEASE)
            else:
                claims.claim(reader, word)
        return True

    def _part_from(self, reader: _Reader) -> None:
        descriptor = reader.connection.fileno()
        del self._readers[descriptor]
        self._only = next(iter(self._readers.values())) if len(self._readers) == 1 else None
        self._words.unregister(descriptor)
        self._news.unregister(descriptor)
        reader.connection.close()
        for _, unsent in reader.unsent:
            if unsent is not None:
                os.close(unsent)
        self.consignees.drop(reader)
        if reader.greeted:
            self._claims.gone(reader)
            self._find_consignee()

    def _find_consignee(self) -> None:
        present = self._claims.present()
        alone = present[0] if len(present) == 1 else None
        self.consignees.choose(alone if isinstance(alone, _Reader) and alone.listens else None)

    # Who comes, and what they are told

    def admit(self, segments: Iterable[Segment]) -> bool:
        """Let in who has come, and hand out ``segments``; False if somebody has to wait for a descriptor."""
        self._complaints.settle()
        for descriptor, _ in self._news.poll(0):
            if descriptor == self._listener.fileno():
                return self._accept(segments)
        return True

    def _accept(self, segments: Iterable[Segment]) -> bool:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            return isinstance(error, BlockingIOError)
        pid, user = peer_of(connection)
        if user not in self._users or len(self._readers) >= _READERS:
            self._complaints.say("%s: refused %s of user %d its shared memory", self._name, named(pid), user)
            connection.close()
            return True
        connection.setblocking(False)
        reader = self._readers[connection.fileno()] = _Reader(connection, pid)
        self._only = reader if len(self._readers) == 1 else None
        self._words.register(connection, select.EPOLLIN)
        self._news.register(connection, select.EPOLLRDHUP)  # its end, and nothing else
        for segment in segments:
            self._tell(reader, RECORD.pack(OFFER, segment.number), segment.descriptor)
        return True

    def offer(self, segment: Segment) -> None:
        """There is a new segment."""
        for reader in self._readers.values():
            self._tell(reader, RECORD.pack(OFFER, segment.number), segment.descriptor)

    def withdraw(self, segment: Segment) -> None:
        """A segment is not used any more."""
        for reader in self._readers.values():
            self._tell(reader, RECORD.pack(GONE, segment.number), None)

    def _tell(self, reader: _Reader, record: bytes, descriptor: int | None) -> bool:
        """Whether it is told, or will be. An offer that is not, for want of a descriptor, is asked for when needed."""
        if not reader.unsent and _send(reader.connection, record, descriptor):
            return True
        try:  # a duplicate, as a segment may be given up before a slow reader has been told of it
            reader.unsent.append((record, None if descriptor is None else os.dup(descriptor)))
        except OSError:
            return False
        return True

    def flush(self) -> None:
        """Tell those who had no room for it before."""
        for reader in self._readers.values():
            if reader.unsent:
                self._flush(reader)

    def _flush(self, reader: _Reader) -> None:
        while reader.unsent:
            record, descriptor = reader.unsent[0]
            if not _send(reader.connection, record, descriptor):
                return
            reader.unsent.pop(0)
            if descriptor is not None:
                os.close(descriptor)

    # The end

    def close(self) -> None:
        """Part from all of them. :attr:`news` stays for the thread that looks at it, until :meth:`forget_news`."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        self._listener.close()
        for reader in self._readers.values():
            for _, descriptor in reader.unsent:
                if descriptor is not None:
                    os.close(descriptor)
            _send(reader.connection, RECORD.pack(CLOSED, 0), None)
            reader.connection.close()
        self._readers.clear()
        self._only = None
        self.consignees.close()
        self._claims = Claims()  # or the memory that it tells of would be kept
        self._words.close()
        self._complaints.settle(ending=True)

    def close_in_child(self) -> None:
        self._listener.close()
        for reader in self._readers.values():
            reader.connection.close()

    def forget_news(self) -> None:
        """Nobody looks at :attr:`news` any more."""
        self._news.close()


def _send(connection: socket.socket, record: bytes, descriptor: int | None) -> bool:
    """Whether no further try is needed: it is on its way, or nobody is there any more."""
    try:
        if descriptor is None:
            connection.send(record)
        else:
            socket.send_fds(connection, [record], [descriptor])
    except BlockingIOError:
        return False
    except OSError as error:  # too many descriptors are on their way; or it has gone, which its end will tell
        return error.errno not in (errno.ETOOMANYREFS, errno.EMFILE, errno.ENOBUFS, errno.ENOMEM)
    return True
