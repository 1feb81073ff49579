"""What the two ends of a side channel say to each other.

Who reads begins with HELLO and its name. Then it says words of 8 bytes: the generation of a message that it claims, or
with RELEASE added, lets go; LEAVE: it claims no more; LISTENS: it takes messages off its lane; NEWS: its receipts have
something new. Who sends says records: OFFER, with a segment's descriptor beside it, GONE, RECEIPTS, with that of the
memory for those (``memory.receipts``), LANE, with that of one end of a lane (``lanes``), or CLOSED: it has closed, and
what is on the lane is the reader's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time

from ..transport.folders import side_channel

__all__ = [
    "CLOSED",
    "GONE",
    "HELLO",
    "LANE",
    "LEAVE",
    "LISTENS",
    "NAME",
    "NEWS",
    "OFFER",
    "RECEIPTS",
    "RECORD",
    "RELEASE",
    "connect",
    "listen",
    "named",
    "peer_of",
]

HELLO = b"npt-shm\x02"
NAME = 8
"""Bytes behind HELLO that say which subscriber it is; zeros for none."""
RELEASE = LEAVE = 1 << 63  # the generation 0 is none
LISTENS, NEWS = 2**64 - 1, 2**64 - 2  # nor are there last ones
RECORD = struct.Struct("<II")
OFFER, GONE, LANE, RECEIPTS, CLOSED = 1, 2, 3, 4, 5

_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group
_UNFINISHED = ".new"
_OLD = 60.0  # seconds


def listen(folder: str, sender: bytes, *, for_others: bool) -> socket.socket:
    """The socket at which ``sender`` hands out its memory. Those that the dead have left in ``folder`` are removed."""
    path = side_channel(folder, sender)
    _sweep(folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(path + _UNFINISHED)
        os.chmod(path + _UNFINISHED, 0o666 if for_others else 0o600)
        listener.listen(128)
        os.rename(path + _UNFINISHED, path)  # from here on, whoever does not answer there is dead
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: str, seconds: float) -> socket.socket:
    """A connection to the sender that listens at ``path``. OSError if there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end, as the system tells."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(credentials)
    return process, user


def named(process: int) -> str:
    """What to call a process in messages to people."""
    return f"process {process}" if process else "a process of another container"  # which has no number in this one


def _sweep(folder: str) -> None:
    example = os.path.basename(side_channel(folder, bytes(8)))
    start, end = example[:4], os.path.splitext(example)[1]
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            if name.startswith(start) and name.endswith(end) and len(name) == len(example):
                try:
                    connect(path, 0.2).close()
                except ConnectionRefusedError:
                    os.unlink(path)
            elif name.endswith(end + _UNFINISHED) and time.time() - os.stat(path).st_mtime > _OLD:
                os.unlink(path)
