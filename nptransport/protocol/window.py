"""How much of a long row of calls may be on its way at one time."""

from __future__ import annotations

from .calls import Call

__all__ = ["Window"]


class Window:
    """Counts the arguments that wait for answers and the results that wait to be taken, in calls and in bytes.

    How large a result will be is not known; it counts as the largest that has come so far.
    """

    def __init__(self, max_calls: int, max_bytes: int) -> None:
        self._max_calls, self._max_bytes = max_calls, max_bytes
        self._calls = self._nbytes = self._largest = self._last = 0

    def has_room(self) -> bool:
        """Whether one more call fits, should it be as large as the last one; one alone always does."""
        if not self._calls:
            return True
        expected = self._nbytes + self._last + (self._calls + 1) * self._largest
        return self._calls < self._max_calls and expected <= self._max_bytes

    def add(self, call: Call) -> None:
        self._calls += 1
        self._last = call.parcel.nbytes
        self._nbytes += self._last

    def remove(self, call: Call) -> None:
        """Its result has been taken."""
        self._calls -= 1
        self._nbytes -= call.parcel.nbytes
        self._largest = max(self._largest, call.result_bytes)
