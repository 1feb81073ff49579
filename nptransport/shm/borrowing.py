"""The reader's side of shared memory: what the descriptors in messages stand for, and giving it back.

An array holds its message for as long as anything refers to it. When the last reference goes, in whatever thread, the
sender hears of it and may use the memory again. Until then it cannot, whatever becomes of either endpoint.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Sequence

from ..codec.descriptor import Place, read_descriptor
from ..errors import DecodeError, TransportError
from ..log import Complaints
from ..transport.folders import allowed_users, side_channel
from ..transport.lanes import Lanes
from ..transport.service import Service
from .creditor import Creditor
from .mappings import PATIENCE, memory_lost
from .sidechannel import HELLO, NAME, connect, named, peer_of

__all__ = ["Borrower"]

_GRACE = 0.5  # seconds that the memory of a dead sender is kept for messages that ZeroMQ may still bring


class Borrower:
    """Shared memory of others, for one endpoint that receives.

    Args:
        name: of the endpoint, for the log.
        folders: where the side channels of senders may be.
        reader: the number of a subscriber, by which publishers know it.
        lanes: where messages may come past ZeroMQ, if that is wanted.
    """

    def __init__(
        self, name: str, folders: Sequence[str], reader: bytes = bytes(NAME), lanes: Lanes | None = None
    ) -> None:
        self._reader, self._lanes = reader, lanes
        self._name, self._folders = name, list(dict.fromkeys(folders))
        self._complaints = Complaints()
        self._users = allowed_users()
        self._lenders: dict[bytes, Creditor] = {}
        self._lock = threading.Lock()
        self._inboxes = select.epoll()
        self._service: Service | None = None

    def open(self, value: bytes, parts: int) -> list[tuple[int, memoryview]]:
        """Index and content of those buffers that the descriptor ``value`` of a message of so many ``parts`` tells of.

        DecodeError if it is malformed, forged or stale, or its sender is not there any more.
        """
        descriptor = read_descriptor(value, parts)
        return (self._lenders.get(descriptor.sender) or self._meet(descriptor.sender)).read(descriptor)

    def borrow(self, sender: bytes, place: Place) -> memoryview:
        """The bytes of the message at that ``place`` in the memory of ``sender``. DecodeError as of :meth:`open`."""
        return (self._lenders.get(sender) or self._meet(sender)).borrow(*place)

    def _meet(self, sender: bytes) -> Creditor:
        for folder in self._folders:
            path = side_channel(folder, sender)
            try:
                connection = connect(path, PATIENCE)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            except OSError as error:
                raise memory_lost(f"{path}: {error.strerror or error}") from None
            try:
                self._start()
            except TransportError as error:
                connection.close()
                raise memory_lost(str(error)) from None
            process, user = peer_of(connection)
            if user not in self._users:
                connection.close()
                raise memory_lost(f"{named(process)} of user {user}, of whom nothing is taken")
            try:
                connection.send(HELLO + self._reader)
                with self._lock:
                    self._inboxes.register(connection, select.EPOLLIN)
                    lender = self._lenders[sender] = Creditor(connection, path, self._lanes)
            except (OSError, ValueError):  # it has gone this moment, or will not have us; or we are closed
                connection.close()
                continue
            return lender
        raise memory_lost(f"nobody in {', '.join(self._folders)}: it has gone, or this is another folder")

    def _start(self) -> None:
        if self._service is None:
            self._service = Service(f"shared memory for {self._name}", [self._inboxes.fileno()], self._work)

    def _work(self) -> bool:
        """What the thread does: map what is offered, and let go of what has gone."""
        now = time.monotonic()
        self._complaints.settle()
        with self._lock:
            for sender, lender in list(self._lenders.items()):
                try:
                    lender.take_in()
                except DecodeError as error:
                    self._complaints.say("%s: a sender's shared memory: %s", self._name, error)
                    self._inboxes.unregister(lender.fileno())
                    lender.refuse()
                if lender.gone_at is not None and lender.may_be_read():
                    lender.gone_at = now
                if lender.gone_at is not None and now - lender.gone_at > _GRACE:
                    lender.leave()
                    del self._lenders[sender]
        return True

    def close(self) -> None:
        """Take nothing more. What has been received stays valid."""
        if self._service is not None:
            self._service.stop()
        with self._lock:
            for lender in self._lenders.values():
                lender.leave()
            self._lenders.clear()
        self._inboxes.close()
        self._complaints.settle(ending=True)
