"""One sender's segments, as a reader maps them: those that were offered, and those to be asked for again."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

from ..errors import DecodeError, MemoryLost
from ..memory.memfd import describe, remedy
from ..memory.segments import Mapping
from ..transport.steps import wait_for
from .sidechannel import OFFER, RECORD, connect

__all__ = ["PATIENCE", "Mappings", "close_all", "memory_lost", "receive"]

PATIENCE = 2.0  # seconds for a sender to hand over memory that it has spoken of
_MOST = 4096  # segments of one sender


class Mappings:
    """Segments by number. ``path``: where their sender hands them out."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mapped: dict[int, Mapping] = {}
        self.get = self._mapped.get
        """The segment of a number; None if it is not mapped."""
        self.failed: dict[int, OSError] = {}
        """Segments that were offered, and why they are not mapped."""
        self._lock = threading.Lock()

    def map(self, number: int, descriptors: list[int]) -> None:
        """Map what is offered. DecodeError if that is no segment."""
        with self._lock:
            if number in self._mapped or len(self._mapped) + len(self.failed) >= _MOST:
                return
            try:
                if not descriptors:  # the system drops those for which a process has no number left
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                self._mapped[number] = Mapping(descriptors[0])
                self.failed.pop(number, None)
            except OSError as error:
                self.failed[number] = error

    def unmap(self, number: int) -> None:
        """It is used no more. What is looked at stays mapped."""
        self._mapped.pop(number, None)
        self.failed.pop(number, None)

    def clear(self) -> None:
        self._mapped.clear()

    def ask_again(self, number: int) -> Mapping:
        """The segment of that ``number``, by another connection, on which all of them are handed out once more.

        An offer may have been lost, for want of a descriptor or of memory. MemoryLost if that does not help.
        """
        self.failed.pop(number, None)
        try:
            with connect(self._path, PATIENCE) as connection:
                connection.shutdown(socket.SHUT_WR)  # so that it ends when all has been handed out
                until = time.monotonic() + PATIENCE
                while self._take_offer(connection):
                    if time.monotonic() > until:
                        raise memory_lost(f"no word of segment {number} for {PATIENCE:g} s")
        except OSError as error:
            self.failed[number] = error
        mapping, failure = self._mapped.get(number), self.failed.get(number)
        if mapping is not None:
            return mapping
        if failure is None:
            raise memory_lost(f"no segment {number} there: its message is stale, or was never sent")
        raise MemoryLost.of(
            "shared memory", expected="memory that this process can map", found=describe(failure), hint=remedy(failure)
        )

    def _take_offer(self, connection: socket.socket) -> bool:
        """Map what is offered next on ``connection``, if that comes soon; False at the end."""
        wait_for(connection.fileno(), 0.05)
        try:
            record, descriptors = receive(connection)
        except BlockingIOError:
            return True
        try:
            if len(record) != RECORD.size:
                return False
            what, number = RECORD.unpack(record)
            if what == OFFER:
                self.map(number, descriptors)
            return True
        finally:
            close_all(descriptors)


def receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """The next record, and the descriptors that came along; nothing at the end."""
    flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    record, descriptors, _, _ = socket.recv_fds(connection, RECORD.size, 1, flags)
    return record, descriptors


def close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def memory_lost(found: str) -> DecodeError:
    return MemoryLost.of("shared memory", expected="the sender of the message at its side channel", found=found)
