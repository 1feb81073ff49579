"""Where the package reports what nobody is waiting to hear: the log ``nptransport``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Complaints", "warn", "warn_once"]

_BURST = 32  # lines at once
_PAUSE = 10.0  # seconds between two lines afterwards

_said: set[str] = set()


def warn(text: str, *values: object) -> None:
    """Log a warning. With logging not set up, Python prints it to stderr."""
    import logging  # here, since it takes a tenth of our import time and most programs have nothing to report

    logging.getLogger("nptransport").warning(text, *values)


def warn_once(text: str) -> None:
    """Log a warning that has not been logged in this process before."""
    if text not in _said:
        _said.add(text)
        warn("%s", text)


class Complaints:
    """Warnings that a peer can bring about at will: some are said, the others counted, and told in sum.

    Args:
        clock: seconds, from wherever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()  # what garbage collection closes, here or anywhere, may complain, too
        self._left = float(_BURST)
        self._looked = clock()
        self._unsaid = 0
        self._last = ""

    def say(self, text: str, *values: object) -> None:
        """Log a warning, or count it if there have been many."""
        with self._lock:
            if not self._may_speak():
                self._unsaid += 1
                self._last = text % values
                return
            unsaid, self._unsaid = self._unsaid, 0
        if unsaid:
            warn(text + " (and %d more like this before)", *values, unsaid)
        else:
            warn(text, *values)

    def settle(self, *, ending: bool = False) -> None:
        """Tell what has not been said, if it is time to, or at the end."""
        if not self._unsaid:
            return
        with self._lock:
            if not self._unsaid or not (ending or self._may_speak()):
                return
            unsaid, self._unsaid = self._unsaid, 0
        warn("%s (the last of %d that were not said)" if unsaid > 1 else "%s", self._last, *[unsaid][: unsaid > 1])

    def _may_speak(self) -> bool:
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._looked) / _PAUSE)
        self._looked = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
