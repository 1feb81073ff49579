"""The whole terminal, painted anew; given back as it was."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from .keys import Keys

__all__ = ["Screen"]


class Screen:
    """Paints a picture at least each ``interval`` seconds, when a key has been typed, and when its size has changed."""

    def __init__(self, console: Console, interval: float) -> None:
        self._console = console
        self._interval = interval
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._keys = Keys()
        self._size = console.size
        self._due = 0.0

    def __enter__(self) -> Screen:
        self._keys.__enter__()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._live.stop()
        finally:
            self._keys.__exit__(kind, error, traceback)

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
