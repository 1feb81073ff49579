"""What the system is asked about connections of libzmq's, and libzmq's threads, and told, by file descriptor."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterable

__all__ = ["has_ended", "process_behind", "running_threads", "shut", "unread_bytes"]

_PROCESS = struct.Struct("=i")  # the first of struct ucred


def unread_bytes(descriptors: Iterable[int]) -> int:
    """Bytes that this system still keeps for the other sides; 0 where it cannot tell.

    Those that the peer has not read, on a Unix socket; those that its system has not acknowledged, over TCP.
    """
    if not sys.platform.startswith("linux"):
        return 0
    import fcntl
    import termios

    unread = 0
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # gone this moment
            unread += struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0]
    return unread


def shut(descriptor: int, *, ours: bool = True, theirs: bool = True) -> bool:
    """Close our direction of a connection, theirs, or both; whether that could be done."""
    import socket as sockets  # here and not above: few need it, and it takes a while

    if sys.platform != "win32":
        with contextlib.suppress(OSError), sockets.socket(fileno=os.dup(descriptor)) as handle:
            handle.shutdown(sockets.SHUT_RDWR if ours and theirs else sockets.SHUT_WR if ours else sockets.SHUT_RD)
            return True
    return False


def process_behind(descriptor: int) -> int:
    """The process that connected to, or bound, a Unix socket's other end; 0 where that is not known here."""
    import socket as sockets

    with contextlib.suppress(OSError), sockets.socket(fileno=os.dup(descriptor)) as handle:
        if handle.family == sockets.AF_UNIX:
            return _PROCESS.unpack_from(handle.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12))[0]
    return 0


def has_ended(process: int) -> bool:
    """Whether there is no process of that number. Asked by a signal, since /proc may hide others' or be another's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        return False
    return False


def running_threads() -> int:
    """Number of libzmq's threads in this process that are not asleep; 0 where it cannot tell."""
    running = 0
    with contextlib.suppress(OSError):
        for task in os.scandir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"{task.path}/stat", "rb") as stat:
                name, _, state = stat.read().rpartition(b")")
                running += b"(ZMQbg/" in name and not state.startswith(b" S")
    return running
