"""Wakes a thread that waits for a socket: a descriptor that becomes readable when another thread wants to be heard."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Waker"]


class Waker:
    """A pair of sockets within the process."""

    def __init__(self) -> None:
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self.descriptor = self._woken.fileno()

    def wake(self) -> None:
        """Have who waits look. May be called from any thread."""
        with contextlib.suppress(OSError):  # it is awake enough, or has ended
            self._waker.send(b"\0")

    def heed(self) -> None:
        """What woke is known."""
        with contextlib.suppress(OSError):
            self._woken.recv(4096)

    def close(self) -> None:
        self._woken.close()
        self._waker.close()

    def __del__(self) -> None:
        self.close()
