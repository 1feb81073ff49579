"""The word on when lent memory is free again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import Timeout

__all__ = ["FREE", "SendHandle"]


class SendHandle:
    """Tells when arrays that were sent with ``copy=False`` may be changed again."""

    def __init__(self) -> None:
        self._left = 0
        self._lock = threading.RLock()  # a view may be released by whatever thread drops it, even inside this class
        self._free: threading.Event | None = None

    @property
    def done(self) -> bool:
        """Whether they may be changed."""
        return self._left == 0

    def wait(self, timeout: float | None = None) -> None:
        """Return once they may be changed; Timeout after ``timeout`` seconds (None: no end)."""
        self._free = self._free or threading.Event()
        if not self.done and not self._free.wait(timeout):  # made before the look: no release is missed
            raise Timeout(f"the memory was still in use after {timeout:g} s", seconds=timeout)

    def expect(self) -> Callable[[], None]:
        """Wait for one buffer more; to be called when that is free."""
        with self._lock:
            self._left += 1
        return self._release

    def _release(self) -> None:
        with self._lock:
            self._left -= 1
        if self._left == 0 and self._free is not None:
            self._free.set()


FREE = SendHandle()
"""For what was copied all the same, being small."""
