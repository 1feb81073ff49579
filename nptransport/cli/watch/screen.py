"""The whole terminal, painted anew; given back as it was."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from .keys import Keys

__all__ = ["Screen", "can_be_painted"]


def can_be_painted(console: Console) -> bool:
    """Whether stdout is a terminal with a cursor that can be moved."""
    return sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal


class Screen:
    """Paints a picture at least each ``interval`` seconds, when a key has been typed, and when its size has changed."""

    def __init__(self, console: Console, interval: float) -> None:
        self._console = console
        self._interval = interval
        self._keys = Keys()
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._to_give_back = contextlib.ExitStack()
        self._size = console.size
        self._due = 0.0

    def __enter__(self) -> Screen:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._keys)
            stack.enter_context(self._live)
            self._to_give_back = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._to_give_back.close()

    @property
    def has_keys(self) -> bool:
        return self._keys.active

    def typed(self) -> str:
        """The keys since the last time; after one, it is time to paint."""
        keys = self._keys.read()
        if keys:
            self._due = 0.0
        return keys

    def is_due(self) -> bool:
        """Whether it is time to paint."""
        return time.monotonic() >= self._due or self._console.size != self._size

    def paint(self, picture: RenderableType) -> None:
        self._size = self._console.size
        self._live.update(picture, refresh=True)
        self._due = time.monotonic() + self._interval
