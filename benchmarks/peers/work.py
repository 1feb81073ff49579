"""What every contestant has to do: arrays one way, each stamped by the sender and checked by the receiver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Sink", "Source", "Stamp", "Work", "WrongContent"]

Array = np.ndarray[Any, np.dtype[np.int64]]

COLUMNS = 64
LEAST = 16  # arrays, however slow the contestant
WARM_UP = 0.2  # of the time before rates are taken, and at least
WARM_ARRAYS = 8  # which have been through all the memory that goes round


class WrongContent(Exception):
    """What arrived is not what was sent."""


class Work(NamedTuple):
    """One turn of one contestant."""

    size: int  # bytes of an array, rounded down to whole rows
    seconds: float  # the sender goes on for so long
    whole: bool  # whether the receiver reads every element, and a sender that lends writes every one

    @property
    def shape(self) -> tuple[int, int]:
        return max(3, self.size // (8 * COLUMNS)), COLUMNS

    @property
    def nbytes(self) -> int:
        return 8 * self.shape[0] * self.shape[1]

    def template(self) -> Array:
        """int64 of ``shape``, counting up."""
        return np.arange(self.nbytes // 8, dtype=np.int64).reshape(self.shape)


class Stamp(NamedTuple):
    """What makes each array another: its number, in the first and in the last row, and whether it is the last."""

    number: int
    last: bool

    def put(self, array: Array) -> None:
        array[0, 0] = array[-1, -1] = self.number
        array[0, 1] = self.last


class Source:
    """The sender's side.

    ``wait`` returns once the receiver listens, ``stay`` once it has read everything: for contestants whose end of the
    process, or of the connection, would take with it what is on its way.
    """

    def __init__(self, work: Work, wait: Callable[[], object] | None = None, stay: Callable[[], object] | None = None):
        self.work = work
        self.wait = wait or (lambda: None)
        self.stay = stay or (lambda: None)
        self._template = work.template()

    def stamps(self) -> Iterator[Stamp]:
        deadline = time.perf_counter() + self.work.seconds
        number, last = 0, False
        while not last:
            last = number + 1 >= LEAST and time.perf_counter() > deadline
            yield Stamp(number, last)
            number += 1

    def arrays(self, ring: int = 1) -> Iterator[Array]:
        """In turn one of ``ring`` warm arrays: each is written to again when the ``ring``-th next is asked for."""
        arrays = [self._template.copy() for _ in range(ring)]
        for stamp in self.stamps():
            array = arrays[stamp.number % ring]
            stamp.put(array)
            yield array

    def write(self, array: Array, stamp: Stamp) -> None:
        """Into memory that the contestant lends: all of it where every element is read, or else what is looked at."""
        if self.work.whole:
            array[:] = self._template
        else:
            middle = len(array) // 2
            array[middle, 0] = self._template[middle, 0]
        stamp.put(array)


class Sink:
    """The receiver's side: ``take`` each array in the order of arrival until ``full``."""

    def __init__(self, work: Work, lent: bool, ready: Callable[[], object] | None = None) -> None:
        self.work = work
        self.full = False
        self.ready = ready or (lambda: None)  # to be called once the sender may connect
        self._template = work.template()
        self._shape, self._middle = work.shape, work.shape[0] // 2
        self._in_the_middle = int(self._template[self._middle, 0])
        self._sum = int(self._template[1:].sum() + self._template[0, 2:].sum() - self._template[-1, -1])
        self._unwritten = lent and not work.whole
        self._times: list[float] = []

    def take(self, array: Array) -> None:
        """Raises WrongContent. The array may be overwritten once this has returned."""
        number = len(self._times)
        if not isinstance(array, np.ndarray) or array.dtype != np.int64 or array.shape != self._shape:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise WrongContent(f"expected int64 {self._shape}, found {found}")
        if array[0, 0] != number or array[-1, -1] != number:
            raise WrongContent(f"expected array number {number}, found {array[0, 0]} to {array[-1, -1]}")
        if array[self._middle, 0] != self._in_the_middle:
            raise WrongContent(f"array {number}: row {self._middle} begins with {array[self._middle, 0]}")
        last = bool(array[0, 1])
        if self.work.whole and int(array.sum()) != self._sum + 2 * number + last:
            raise WrongContent(f"array {number}: its sum is wrong")
        self._times.append(time.perf_counter())
        if last:
            self._compare(array)
            self.full = True

    def _compare(self, array: Array) -> None:
        """The last one, element by element."""
        if self._unwritten:
            return
        expected = self._template.copy()
        Stamp(len(self._times) - 1, last=True).put(expected)
        if not np.array_equal(array, expected):
            raise WrongContent("the last array differs")

    def rate(self) -> float:
        """Arrays a second, after the warm-up."""
        times = self._times
        warm = times[0] + WARM_UP * (times[-1] - times[0])
        first = max(WARM_ARRAYS, next(index for index, each in enumerate(times) if each >= warm))
        first = min(first, len(times) - 2)
        return (len(times) - 1 - first) / (times[-1] - times[first])
