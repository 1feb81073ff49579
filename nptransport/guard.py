"""Guards one socket against use where it cannot work: by two threads at one time, and in a forked child."""

from __future__ import annotations

import os
import threading

from .errors import MisuseError

__all__ = ["Guard"]


class _Forks:
    """How many forks lie between this process and the first: cheaper to compare than to ask for the process id."""

    def __init__(self) -> None:
        self.count = 0
        self._watched = False

    def watch(self) -> int:
        if not self._watched and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
            self._watched = True
        return self.count

    def _forked(self) -> None:
        self.count += 1


_forks = _Forks()


class Guard:
    """Entered for each use. One thread after the other is fine; two at once, or a forked child, are a MisuseError.

    Args:
        what: names the endpoint in errors.
    """

    def __init__(self, what: object) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._process = os.getpid()
        self._forks_before = _forks.watch()

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of the process that made the endpoint."""
        return self._forks_before != _forks.count

    def enter(self) -> None:
        if self._forks_before != _forks.count:
            self.refuse_fork()
        if not self._lock.acquire(False):
            self._refuse_thread()
        self._thread = threading.get_ident()

    def try_enter(self) -> bool:
        """Enter if nobody is in."""
        return not self.is_forked and self._lock.acquire(False)

    def leave(self) -> None:
        self._lock.release()

    def refuse_fork(self) -> None:
        raise MisuseError(
            f"{self._what}: made in process {self._process}, used in its forked child {os.getpid()}; sockets do not "
            "survive a fork: make one in the child (and prefer the spawn start method)",
            expected=f"process {self._process}",
            found=f"process {os.getpid()}",
        )

    def _refuse_thread(self) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        mine, user = threading.current_thread().name, names.get(self._thread, "another")
        raise MisuseError(
            f"{self._what}: used by thread {mine} while thread {user} uses it; give each thread its own, or hold a "
            "lock around each call",
            expected=f"thread {user}",
            found=f"thread {mine}",
        )
