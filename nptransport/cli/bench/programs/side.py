"""What every measured program is given, and gives."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..content import Content, Reading

__all__ = ["Side", "Task", "Unavailable"]

_COPY_BELOW = 64 * 1024  # bytes from which pyzmq is given copy=False: for smaller parts that costs more than a copy
_WAITING = 128_000_000  # bytes


class Unavailable(Exception):
    """This system lacks what the program needs."""


@dataclass(frozen=True)
class Task:
    """One side's part in a turn."""

    address: str
    """To bind, for the one that waits; to connect to, for the other."""
    nbytes: int
    """Of one array."""
    reading: Reading
    whole: bool = True
    """Whether whoever writes into a loan writes all of it."""

    @cached_property
    def content(self) -> Content:
        return Content(self.nbytes, self.reading, whole=self.whole)

    @property
    def copy(self) -> bool:
        """What pyzmq's functions of that argument are given."""
        return self.nbytes < _COPY_BELOW

    @property
    def most_waiting(self) -> int:
        """Messages: the high-water mark on each side."""
        return max(2, min(1000, _WAITING // self.nbytes))

    @property
    def budget(self) -> int:
        """Bytes that may wait at a sender of ours: two messages at the least."""
        return max(2**28, 2 * self.nbytes + 2**20)

    def unix(self) -> tuple[socket.socket, str]:
        """A Unix socket, and the path that the address is about."""
        if not hasattr(socket, "AF_UNIX"):
            raise Unavailable("this system has no unix sockets")
        return socket.socket(socket.AF_UNIX), self.address.partition("://")[2]


class Side(NamedTuple):
    """One side, ready."""

    address: str
    """Where it waits, if it does."""
    burst: Callable[[int], None]
    """Move so many messages."""
