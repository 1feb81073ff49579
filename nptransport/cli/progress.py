"""How far a transfer is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

__all__ = ["Bar", "Display", "Ticker"]

_INTERVAL = 1.0  # seconds between lines where there is no terminal


class Display:
    """Shows nothing. The base of those that do, and what ``--json`` has where there is no terminal."""

    def start(self) -> None:
        """Begin to show."""

    def stop(self) -> None:
        """End it; what follows is not to be painted over."""

    def expect(self, files: int, nbytes: int | None) -> None:
        """So much more is going to come; None if nobody knows how much."""

    def moved(self, file: str, frame: int, frames: int | None, nbytes: int) -> None:
        """Frame number ``frame`` of ``frames`` has come, or gone."""

    def done(self) -> None:
        """A file has ended."""

    def print(self, line: str, *, err: bool) -> None:
        """Show ``line``, which may be styled, above whatever is shown."""
        click.echo(line, err=err)


class Ticker(Display):
    """A line a second, at most."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._bytes = 0

    def moved(self, file: str, frame: int, frames: int | None, nbytes: int) -> None:
        if self._last is None:  # the time before the first frame says nothing about the speed
            self._last = time.monotonic()
        self._bytes += nbytes
        elapsed = time.monotonic() - self._last
        if elapsed >= _INTERVAL:
            of = f" of {frames}" if frames else ""
            click.echo(f"{file}: frame {frame}{of}, {decimal(int(self._bytes / elapsed))}/s", err=True)
            self._last, self._bytes = time.monotonic(), 0


class Bar(Display):
    """A progress bar at the bottom of the terminal that is stderr."""

    def __init__(self) -> None:
        name = Column(ratio=2, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.fields[files]}", style="dim"),
            TextColumn("{task.fields[file]}", markup=False, table_column=name),
            TextColumn("{task.fields[frame]}", justify="right", style="dim"),
            BarColumn(bar_width=None, table_column=Column(ratio=2)),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            expand=True,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", start=False, total=None, visible=False, files="", file="", frame="")
        self._total: int | None = 0
        self._files = self._ended = 0

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def expect(self, files: int, nbytes: int | None) -> None:
        self._files += files
        self._total = None if self._total is None or nbytes is None else self._total + nbytes
        self._progress.update(self._task, total=self._total)

    def moved(self, file: str, frame: int, frames: int | None, nbytes: int) -> None:
        if not self._progress.tasks[0].started:
            self._progress.start_task(self._task)
        counted = f"{frame}/{frames}" if frames else f"{frame}"
        files = f"{self._ended + 1}/{self._files}"
        self._progress.update(self._task, advance=nbytes, files=files, file=file, frame=counted, visible=True)

    def done(self) -> None:
        self._ended += 1

    def print(self, line: str, *, err: bool) -> None:
        if err or sys.stdout.isatty():
            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)
        else:
            click.echo(line)
