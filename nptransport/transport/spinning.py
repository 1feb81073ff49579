"""Looking again and again for what is about to come, before sleeping until it does.

To fall asleep and to be woken takes longer than to carry a small array there and back. So who waits for an answer looks
for it for a moment first, as long as such moments have been enough of late, and lets others have the processor between
two looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

__all__ = ["Spinner"]

_MOMENT = 200e-6  # seconds that are spent on looking: more than an answer takes that somebody is looking for, too
_SHORT = 1e-3  # and of a sleep after which it may have been worth while
_MOST_SKIPPED = 256

_yield: Callable[[], None] = getattr(os, "sched_yield", lambda: time.sleep(0))


class Spinner:
    """Decides whether to look, from how it went before: each moment in vain doubles the number of those left out."""

    def __init__(self) -> None:
        self._left_out = 0  # still to be, before the next try
        self._penalty = 1
        self._hopeful = False

    def look(self, is_there: Callable[[], bool], most: float) -> bool:
        """Whether ``is_there`` said so within a moment, and ``most`` seconds; False at once where that is unlikely."""
        if not self._hopeful:
            return False
        end = time.perf_counter() + min(most, _MOMENT)
        while not is_there():
            if time.perf_counter() > end:
                self._hopeful = False
                self._left_out = self._penalty
                self._penalty = min(2 * self._penalty, _MOST_SKIPPED)
                return False
            _yield()
        self._penalty = 1
        return True

    def slept(self, seconds: float) -> None:
        """So long it took, without looking."""
        if seconds > _SHORT:
            return
        self._left_out -= 1
        self._hopeful = self._left_out < 0
