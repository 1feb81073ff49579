"""Guards one socket against use where it cannot work: by two threads at one time, and in a forked child."""

from __future__ import annotations

import os
import threading
import weakref
from threading import get_ident
from typing import NoReturn, Protocol

from ..errors import MisuseError

__all__ = ["Guard", "Holder", "close_in_child", "forks"]


class Holder(Protocol):
    """Who holds descriptors that a forked child is not to keep open."""

    def close_in_child(self) -> None:
        """Close them, in the child, and do nothing else: other threads may have held any lock."""


class _Forks:
    """How many forks lie between this process and the first: cheaper to compare than to ask for the process id."""

    def __init__(self) -> None:
        self.count = 0
        self._watched = False
        self._holders: weakref.WeakSet[Holder] = weakref.WeakSet()

    def watch(self) -> int:
        if not self._watched and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
            self._watched = True
        return self.count

    def add(self, holder: Holder) -> None:
        self.watch()
        self._holders.add(holder)

    def _forked(self) -> None:
        self.count += 1
        for holder in list(self._holders):
            holder.close_in_child()


forks = _Forks()


def close_in_child(holder: Holder) -> None:
    """Have a forked child close what ``holder`` holds: by its end others learn that this process has died."""
    forks.add(holder)


class Guard:
    """Entered for each use. One thread after the other is fine; two at once, or a forked child, are a MisuseError.

    What is guarded derives from this, and names itself in errors by its ``str``.
    """

    def __init__(self) -> None:
        self.closing = False
        """Whether nobody may begin to use it any more."""
        self.closed = False
        """Whether it is to be destroyed once nobody uses it."""
        self._turn = [True]  # taken by who uses it: at once, as by a lock, and in a third of the time
        self._thread: int | None = None
        self._process = os.getpid()
        self._forks_before = forks.watch()

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of the process that made the endpoint."""
        return self._forks_before != forks.count

    def check_usable(self) -> None:
        """ConnectionClosed, or MisuseError in a forked child."""
        if self._forks_before != forks.count:
            self.refuse_fork()
        if self.closing:
            self.check_open()

    def enter(self, *, ending: bool = False) -> None:
        """Begin to use the socket; ConnectionClosed or MisuseError if that cannot be. ``ending``: for the last time."""
        if self.closing and not ending:
            self.check_open()
        if self._forks_before != forks.count:
            self.refuse_fork()
        try:
            self._turn.pop()
        except IndexError:
            self._refuse_thread()
        self._thread = get_ident()

    def leave(self) -> None:
        self._turn.append(True)
        if self.closed:
            self.destroy_if_unused()

    def destroy_if_unused(self) -> None:
        """Whoever is inside does it on leaving: never two threads at once."""
        if self.is_forked:
            return
        try:
            self._turn.pop()
        except IndexError:
            return
        try:
            self.destroy()
        finally:
            self._turn.append(True)

    def check_open(self) -> None:
        """ConnectionClosed if it is used no more."""
        raise NotImplementedError

    def destroy(self) -> None:
        """Close now."""
        raise NotImplementedError

    def refuse_fork(self) -> None:
        raise MisuseError(
            f"{self}: made in process {self._process}, used in its forked child {os.getpid()}; sockets do not "
            "survive a fork: make one in the child (and prefer the spawn start method)",
            expected=f"process {self._process}",
            found=f"process {os.getpid()}",
        )

    def _refuse_thread(self) -> NoReturn:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        mine, user = threading.current_thread().name, names.get(self._thread, "another")
        raise MisuseError(
            f"{self}: used by thread {mine} while thread {user} uses it; give each thread its own, or hold a "
            "lock around each call",
            expected=f"thread {user}",
            found=f"thread {mine}",
        ) from None
