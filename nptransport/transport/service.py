"""A thread that does for an endpoint what has to be done while nobody calls it."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from ..errors import ConnectionClosed, TransportError
from ..log import warn

__all__ = ["Service", "weakly"]

P = ParamSpec("P")
R = TypeVar("R")

_LOOK = 0.1  # seconds after which it looks even if nothing seems to have happened: some news wakes only who comes first
_REST = 0.02  # and while others look anyway


class Service:
    """Calls ``work``, a method, again and again until it is stopped or the method's object has gone.

    Args:
        descriptors: one is readable when something may have happened.
        work: what to do; gives whether to do it again as soon as something happens, or only after a rest.
        on_error: a method, called when an error has ended it.

    Raises:
        TransportError: there is no descriptor or no thread left for it.
    """

    def __init__(
        self,
        name: str,
        descriptors: Sequence[int],
        work: Callable[[], bool],
        on_error: Callable[[], None] | None = None,
    ) -> None:
        self._work = weakref.WeakMethod(work)  # or nobody could forget an endpoint whose thread goes on
        self._on_error = weakref.WeakMethod(on_error) if on_error is not None else None
        self._stopped = False
        self.error: Exception | None = None
        """What ended it, if that was no stop."""
        with contextlib.ExitStack() as undone:
            try:
                self._woken, self._waker = map(undone.enter_context, socket.socketpair())
                self._waker.setblocking(False)
                self._all = undone.enter_context(selectors.DefaultSelector())
                self._wakes = undone.enter_context(selectors.DefaultSelector())
                for descriptor in descriptors:
                    self._all.register(descriptor, selectors.EVENT_READ)
                for selector in (self._all, self._wakes):
                    selector.register(self._woken, selectors.EVENT_READ)
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            except (OSError, RuntimeError) as error:  # no descriptor, or no thread
                raise TransportError(
                    f"{name}: cannot start its thread: {error}; raise the limits on open files and threads "
                    "(ulimit -n, ulimit -u)"
                ) from None
            undone.pop_all()

    def _run(self) -> None:
        with self._woken, self._all, self._wakes:
            while not self._stopped:
                selector, seconds = (self._all, _LOOK) if self._do() else (self._wakes, _REST)
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
                on_error = self._on_error() if self._on_error is not None else None
                if on_error is not None:
                    on_error()
            self._stopped = True
            return False

    def check(self) -> None:
        """TransportError if an error has ended it, ConnectionClosed if that is what it was."""
        if isinstance(self.error, ConnectionClosed):
            raise ConnectionClosed(str(self.error), endpoint=self.error.endpoint)
        if self.error is not None:
            raise TransportError(f"{self._thread.name}: ended by {type(self.error).__name__}: {self.error}")

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


def weakly(method: Callable[P, R]) -> Callable[P, R | None]:
    """Calls ``method`` as long as its object is there, which it does not keep; None afterwards."""
    reference = weakref.WeakMethod(method)

    def call(*args: P.args, **options: P.kwargs) -> R | None:
        found = reference()
        return None if found is None else found(*args, **options)

    return call
