"""Warm buffers that several readers share: taken up again when the last of them has let go."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = ["Lease", "Leases", "Readings"]

_PAGE = 4096
Lease = np.ndarray[Any, np.dtype[np.uint8]]


class Leases:
    """Buffers that are out, and idle ones to be used again, together within ``max_bytes`` as far as possible.

    A fresh buffer costs a page fault for every 4 KB when it is first written, many times what the copy itself takes.
    A lease ends when nothing refers to it any more: no view on it, nor ZeroMQ.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        """Bytes that are out."""
        self._lock = threading.RLock()  # a lease may end in whatever thread drops it, even inside this class
        self._out: dict[int, tuple[weakref.ref[Lease], int, Lease | None, Callable[[], None] | None]] = {}
        self._idle: list[Lease] = []

    def copy(self, buffer: bytes | memoryview) -> Lease:
        """A lease on a warm buffer that holds the same bytes."""
        lease = self.lease(len(buffer))
        np.copyto(lease, np.frombuffer(buffer, np.uint8))  # lets other threads run meanwhile
        return lease

    def lease(self, nbytes: int) -> Lease:
        """A lease on a warm buffer, with anything in it."""
        warm = self._take(nbytes)
        return self._track(warm[:nbytes], warm, None)

    def lend(self, buffer: bytes | memoryview, on_free: Callable[[], None] | None) -> Lease:
        """A lease on ``buffer`` itself; ``on_free`` is called at its end."""
        return self._track(np.frombuffer(buffer, np.uint8), None, on_free)

    def exempt(self, frames: Iterable[object], wanted: bool) -> None:
        """Do not count those of ``frames`` that are leases among the bytes that are out; or do so again."""
        with self._lock:
            for frame in frames:
                if isinstance(frame, np.ndarray) and id(frame) in self._out:
                    reference, nbytes, warm, on_free = self._out[id(frame)]
                    counted = 0 if wanted else frame.nbytes
                    self.nbytes += counted - nbytes
                    self._out[id(frame)] = (reference, counted, warm, on_free)

    def _track(self, lease: Lease, warm: Lease | None, on_free: Callable[[], None] | None) -> Lease:
        key = id(lease)
        with self._lock:
            self._out[key] = (weakref.ref(lease, lambda _: self._end(key)), lease.nbytes, warm, on_free)
            self.nbytes += lease.nbytes
        return lease

    def _end(self, key: int) -> None:
        with self._lock:
            _, nbytes, warm, on_free = self._out.pop(key)
            self.nbytes -= nbytes
            idle = sum(each.nbytes for each in self._idle)
            if warm is not None and (not idle or self.nbytes + idle + warm.nbytes <= self.max_bytes):
                self._idle.append(warm)
        if on_free is not None:
            on_free()

    def _take(self, nbytes: int) -> Lease:
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):  # the one that came back last is the warmest
                if nbytes <= self._idle[index].nbytes <= 2 * nbytes + _PAGE:
                    return self._idle.pop(index)
            room = self.max_bytes - self.nbytes - nbytes
            while self._idle and sum(idle.nbytes for idle in self._idle) > room:
                del self._idle[0]
        return np.empty(-(-nbytes // _PAGE) * _PAGE, np.uint8)


class Readings:
    """Views on leases that ZeroMQ holds for one reader."""

    def __init__(self) -> None:
        self.messages = 0
        self.nbytes = 0
        self.held = 0
        """Messages that were added, and fetched, and are still being read."""
        self.returned = 0
        """Views that have come back so far."""
        self._lock = threading.RLock()
        self._views: dict[int, tuple[weakref.ref[memoryview], int, int]] = {}
        self.on_end: Callable[[], None] | None = None
        """Called, from any thread, when a view has come back."""

    def view(self, lease: Lease, messages: int) -> memoryview:
        """A view on ``lease``, counted until nobody holds it; as so many ``messages``: 1 for one part of each."""
        view = lease.data
        key = id(view)  # not the reference itself, which hashes as its view, and that cannot
        with self._lock:
            self._views[key] = (weakref.ref(view, lambda _: self._end(key)), messages, lease.nbytes)
            self.messages += messages
            self.nbytes += lease.nbytes
        return view

    def add(self, nbytes: int, messages: int = 1) -> None:
        """A message that it is told of in another way when that has come back (with a negative number, it was not)."""
        with self._lock:
            self.messages += messages
            self.nbytes += nbytes

    def fetched(self) -> None:
        """A message that was added waits no more, and is being read."""
        with self._lock:
            self.messages -= 1
            self.held += 1
            self.returned += 1
        if self.on_end is not None:
            self.on_end()

    def let_go(self, nbytes: int) -> None:
        """It has been read."""
        with self._lock:
            self.held -= 1
            self.nbytes -= nbytes
        if self.on_end is not None:
            self.on_end()

    def _end(self, key: int) -> None:
        with self._lock:
            _, messages, nbytes = self._views.pop(key)
            self.messages -= messages
            self.nbytes -= nbytes
            self.returned += 1
        if self.on_end is not None:
            self.on_end()
