"""A progress bar for whoever waits for many results."""

from __future__ import annotations

import importlib
from collections.abc import Sized
from types import TracebackType
from typing import Any

from ..errors import TransportError

__all__ = ["Progress"]


class Progress:
    """A bar on stderr by ``rich``; nothing at all unless ``wanted``.

    Raises:
        TransportError: it is wanted, and rich is not installed.
    """

    def __init__(self, wanted: bool, items: object, what: str) -> None:
        self._bar: Any = None
        if not wanted:
            return
        try:
            progress = importlib.import_module("rich.progress")
            console = importlib.import_module("rich.console").Console(stderr=True)
        except ModuleNotFoundError:
            raise TransportError("progress=True needs rich: pip install 'nptransport[progress]'") from None
        columns = [
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
        ]
        self._bar = progress.Progress(*columns, console=console)
        self._task = self._bar.add_task(what, total=len(items) if isinstance(items, Sized) else None)

    def advance(self) -> None:
        """One more is done."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
