"""Warm buffers, and the count of the bytes that are on their way.

A fresh buffer costs a page fault for every 4 KB when it is first written, many times what the copy itself takes, so
buffers go round: copied into, sent, and taken up again when the last view on them has gone.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DEPTH", "DEPTH_BYTES", "SMALL", "InFlight"]

# Up to here a copy into a message of libzmq's own costs less than lending it a buffer and hearing of its return.
SMALL = 64 * 1024
_PAGE = 4096
# Buffers on their way that keep a connection busy: as many, or that much. With more the copies leave the processor's
# cache before they are sent, and to copy and to send them takes up to twice as long.
DEPTH, DEPTH_BYTES = 4, 2**22
_WAITS_FRESH = 3  # what a buffer never used costs more than one gone cold
_Warm = np.ndarray[Any, np.dtype[np.uint8]]


class _Loan(NamedTuple):
    reference: weakref.ref[memoryview]
    nbytes: int
    warm: _Warm | None
    on_free: Callable[[], None] | None


class InFlight:
    """Buffers that somebody else (libzmq) still reads, held to ``max_bytes``.

    Args:
        max_bytes: room for buffers on their way; one larger than that travels alone.
        on_release: called, from any thread, when half of what somebody was found to want has come back. Who waits
            for the first looks again from time to time.
    """

    def __init__(self, max_bytes: int, on_release: Callable[[], None]) -> None:
        self.max_bytes = max_bytes
        self.nbytes = 0
        self.count = 0
        self._on_release = on_release
        self._lock = threading.RLock()  # a view may be released by whatever thread drops it, even inside this class
        self._loans: dict[int, _Loan] = {}
        self._resume_bytes = self._resume_count = -1
        self._idle: list[_Warm] = []
        self._came_back = True  # some buffer, since somebody last waited for one

    def has_room(self, nbytes: int) -> bool:
        if not self.nbytes or self.nbytes + nbytes <= self.max_bytes:
            return True
        self._resume_bytes = self.max_bytes // 2
        return False

    def situation(self) -> str:
        """What is on its way, for errors; empty if nothing is."""
        if not self.nbytes:
            return ""
        return (
            f"{self.nbytes} bytes are on their way, of {self.max_bytes} that may be: "
            "raise max_bytes, or have the other side take them sooner"
        )

    def copy(self, buffer: bytes | memoryview, weight: int) -> memoryview:
        """A view on a warm buffer that holds the same bytes, counted as ``weight`` until nobody holds the view."""
        nbytes = len(buffer)
        warm = self._take(nbytes)
        np.copyto(warm[:nbytes], np.frombuffer(buffer, np.uint8))  # lets other threads run meanwhile
        return self._track(warm.data[:nbytes], weight, warm, None)

    def lend(self, buffer: bytes | memoryview, weight: int, on_free: Callable[[], None]) -> memoryview:
        """A view on ``buffer`` itself, counted as ``weight`` until nobody holds it; ``on_free`` is called then."""
        return self._track(memoryview(buffer)[:], weight, None, on_free)

    def borrow(self, nbytes: int) -> _Warm:
        """A warm buffer of ``nbytes`` or more, to be filled before it is sent: it is counted only then."""
        return self._take(nbytes)

    def take_back(self, warm: _Warm) -> None:
        """A buffer that was borrowed."""
        with self._lock:
            self._idle.append(warm)

    def abandon(self, views: Iterable[Any]) -> None:
        """Count ``views`` no more, which libzmq has lost: when a peer leaves in the middle of a message, the parts that
        it had been given are neither sent nor freed."""
        for view in views:
            self._settle(id(view), lost=True)

    def _track(
        self, view: memoryview, nbytes: int, warm: _Warm | None, on_free: Callable[[], None] | None
    ) -> memoryview:
        key = id(view)  # not the reference itself, which hashes as its view, and that cannot
        reference = weakref.ref(view, lambda _: self._settle(key))
        with self._lock:
            self._loans[key] = _Loan(reference, nbytes, warm, on_free)
            self.nbytes += nbytes
            self.count += 1
        return view

    def _settle(self, key: int, lost: bool = False) -> None:
        with self._lock:
            loan = self._loans.pop(key, None)
            if loan is None:
                return
            self.nbytes -= loan.nbytes
            self.count -= 1
            self._came_back = True
            if loan.warm is not None and not lost:
                self._idle.append(loan.warm)
            # Woken for each buffer, a sender would do nothing else: it has to get the processor for every one.
            wake = self.nbytes <= self._resume_bytes or self.count <= self._resume_count
            if wake:
                self._resume_bytes = self._resume_count = -1
        if loan.on_free is not None and not lost:
            loan.on_free()
        if wake:
            self._on_release()

    def is_warm(self, nbytes: int, waits: int) -> bool:
        """Whether a copy of ``nbytes`` should be made now, not wait for a buffer that is still in the cache: few are on
        their way, or who reads is slow, as ``waits`` for this message, or those for the last one, have shown."""
        depth = max(DEPTH, DEPTH_BYTES // nbytes)
        if self.count < depth or not (waits or self._came_back):
            return True
        if waits >= (_WAITS_FRESH if self._find(nbytes) is None else 1):
            return True
        self._came_back = False
        self._resume_count = depth // 2
        return False

    def _take(self, nbytes: int) -> _Warm:
        with self._lock:
            index = self._find(nbytes)
            if index is not None:
                return self._idle.pop(index)
            room = self.max_bytes - self.nbytes - nbytes
            while self._idle and sum(idle.nbytes for idle in self._idle) > room:
                del self._idle[0]
        return np.empty(-(-nbytes // _PAGE) * _PAGE, np.uint8)

    def _find(self, nbytes: int) -> int | None:
        """Place of an idle buffer that fits, the one that came back last, and so is the warmest, first."""
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):
                if nbytes <= self._idle[index].nbytes <= 2 * nbytes + _PAGE:
                    return index
        return None
