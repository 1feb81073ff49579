"""A thread that does for an endpoint what has to be done while nobody calls it."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import weakref
from collections.abc import Callable, Sequence

from .log import warn

__all__ = ["Service"]

_LOOK = 0.1  # seconds after which it looks even if nothing seems to have happened: some news wakes only who comes first
_REST = 0.02  # and while others look anyway


class Service:
    """Calls ``work``, a method, again and again until it is stopped or the method's object has gone.

    Args:
        descriptors: one is readable when something may have happened.
        work: what to do; gives whether to do it again as soon as something happens, or only after a rest.
    """

    def __init__(self, name: str, descriptors: Sequence[int], work: Callable[[], bool]) -> None:
        self._descriptors = descriptors
        self._work = weakref.WeakMethod(work)  # or nobody could forget an endpoint whose thread goes on
        self._stopped = False
        self.error: Exception | None = None
        """What ended it, if that was no stop."""
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._woken, selectors.DefaultSelector() as all_, selectors.DefaultSelector() as wakes:
            for descriptor in self._descriptors:
                all_.register(descriptor, selectors.EVENT_READ)
            for selector in (all_, wakes):
                selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopped:
                selector, seconds = (all_, _LOOK) if self._do() else (wakes, _REST)
                if self._stopped:
                    return
                for key, _ in selector.select(seconds):
                    if key.fileobj is self._woken:
                        self._woken.recv(4096)

    def _do(self) -> bool:
        work = self._work()
        if work is None:
            self._stopped = True
            return False
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            if not self._stopped:
                self.error = error
                warn("%s: %s: %s", self._thread.name, type(error).__name__, error)
            self._stopped = True
            return False

    def wake(self) -> None:
        """Work now. May be called from any thread."""
        with contextlib.suppress(OSError):  # it is awake enough, or has ended
            self._waker.send(b"\0")

    def stop(self) -> None:
        """Return once it has ended."""
        self._stopped = True
        self.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._waker.close()
