"""Who is connected to a socket: libzmq's monitor, read when somebody asks."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import sys
import threading
import time

import zmq

__all__ = ["Connections"]

_OPENED = zmq.EVENT_CONNECTED | zmq.EVENT_ACCEPTED
_EVENT = struct.Struct("=Hi")  # of zmq_socket_monitor: the event, and for these three the file descriptor
_GREETED = zmq.EVENT_HANDSHAKE_SUCCEEDED
_NOT_GREETED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_numbers = itertools.count()


class Connections:
    """The live connections of one socket, by file descriptor."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._live: dict[int, str | None] = {}  # with the address, if it was us who connected
        self._reading = threading.Lock()
        self._greetings = 0  # peers that turned out to speak ZeroMQ, less those that have left
        self._stranger = False
        self._unbound = 0
        self.departed: list[int] | None = None
        """Where it is a list: the connections that have ended are added to it."""
        self.disconnects = 0
        """Peers that have left."""
        address = f"inproc://nptransport.monitor.{os.getpid()}.{next(_numbers)}"
        # Of all events only these: reconnecting alone would bring hundreds, and nobody may look for hours.
        socket.monitor(address, _OPENED | _GREETED | _NOT_GREETED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self._events = socket.context.socket(zmq.PAIR)
        self._events.set(zmq.RCVHWM, 0)  # a full queue here would hold up the thread that moves the data
        self._events.set(zmq.LINGER, 0)
        self._events.connect(address)

    def refresh(self) -> int:
        """Take in what has happened since; number of peers now."""
        if not self._reading.acquire(blocking=False):
            return self._greetings  # another thread looks at this moment: statistics() may be asked for by any
        try:
            self._read_events()
        finally:
            self._reading.release()
        return self._greetings

    def _read_events(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                what, address = self._events.recv_multipart(zmq.NOBLOCK)
                event, descriptor = _EVENT.unpack(what)
                if event & _OPENED:
                    self._live[descriptor] = address.decode() if event == zmq.EVENT_CONNECTED else None
                elif event == _GREETED:
                    self._greetings += 1
                elif event & _NOT_GREETED:
                    self._stranger = True  # the disconnect that follows is no peer's
                elif event == zmq.EVENT_DISCONNECTED:
                    self._live.pop(descriptor, None)
                    if self.departed is not None:
                        self.departed.append(descriptor)
                    self._greetings -= not self._stranger
                    self.disconnects += not self._stranger
                    self._stranger = False
                else:
                    self._unbound += 1

    @property
    def count(self) -> int:
        """Number of peers when last refreshed."""
        return self._greetings

    @property
    def pending(self) -> int:
        """Number of connections, when last refreshed, whose other side has not said yet that it speaks ZeroMQ."""
        return len(self._live) - self._greetings

    def unread_bytes(self) -> int:
        """Bytes that this system still keeps for the other sides; 0 where it cannot tell.

        Those that the peer has not read, on a Unix socket; those that its system has not acknowledged, over TCP.
        """
        if not sys.platform.startswith("linux"):
            return 0
        import fcntl
        import termios

        unread = 0
        for descriptor in self._live:
            with contextlib.suppress(OSError):  # gone this moment
                unread += struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0]
        return unread

    def address_of(self, connection: int) -> str | None:
        """Where we connected to, if it was us who did, and that is still there."""
        self.refresh()
        return self._live.get(connection)

    def all(self) -> list[int]:
        """The connections that there are."""
        self.refresh()
        return list(self._live)

    def leave(self, connection: int) -> None:
        """Count a connection no more that we left ourselves: libzmq has no event for that."""
        if self._live.pop(connection, None) is not None:
            self._greetings -= 1
            self.disconnects += 1

    def end(self, connection: int) -> None:
        """Close a connection whose other side is known to have gone."""
        self.refresh()
        if connection in self._live:
            _shut(connection, both=True)

    def is_idle(self) -> bool:
        """Whether libzmq's threads sleep and the system keeps nothing: nothing is on its way. (A thread that has
        something to write to a system that takes it does not sleep.)"""
        return not self.unread_bytes() and not _running_threads()

    def end_ours(self) -> int:
        """Close our direction of each connection, so that the peer reads to an end; how many those are."""
        return sum(_shut(descriptor, both=False) for descriptor in self._live)

    def await_unbound(self, count: int) -> None:
        """Return once ``count`` listeners have gone, which libzmq sees to in a thread of its own.

        Until then the address is taken, and an ipc one is deleted at the end even from under a successor.
        """
        deadline = time.monotonic() + 0.5
        self._unbound = 0
        while self._unbound < count and time.monotonic() < deadline:
            self._events.poll(10)
            self.refresh()

    def close(self) -> None:
        self._events.close(0)


def _shut(descriptor: int, *, both: bool) -> bool:
    """Close our direction of a connection of libzmq's, or both; whether that could be done."""
    import socket as sockets  # here and not above: few need it, and it takes a while

    if sys.platform != "win32":
        with contextlib.suppress(OSError), sockets.socket(fileno=os.dup(descriptor)) as handle:
            handle.shutdown(sockets.SHUT_RDWR if both else sockets.SHUT_WR)
            return True
    return False


def _running_threads() -> int:
    """Number of libzmq's threads in this process that are not asleep; 0 where it cannot tell."""
    running = 0
    with contextlib.suppress(OSError):
        for task in os.scandir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"{task.path}/stat", "rb") as stat:
                name, _, state = stat.read().rpartition(b")")
                running += b"(ZMQbg/" in name and not state.startswith(b" S")
    return running
