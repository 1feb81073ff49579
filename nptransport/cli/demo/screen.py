"""What the audience sees: a live table below the picture, or a line a second where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..picture.blocks import as_blocks
from .tally import Tally, lost_so_far

__all__ = ["Lines", "Screen"]

_INTERVAL = 0.2
_LINES = 1.0
_TABLE_ROWS = 10  # and the lines around it
_COLUMNS = ["frames", "frames/s", "MB/s", "median ms", "p99 ms", "lost"]
_GO_FIRST = ["p99 ms", "MB/s", "median ms", "frames/s"]  # in a terminal that is too narrow


class Lines:
    """A line a second: for a log."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._last = time.monotonic()

    def __enter__(self) -> Lines:
        self._console.print(self._title, highlight=False, soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, camera: Tally, viewers: Sequence[Tally], *, at_last: bool = False) -> None:
        """Where they are now, if it is time for that; ``at_last``: in any case."""
        now = time.monotonic()
        if not any(viewer.frames for viewer in viewers):
            self._last = now
        if now - self._last < _LINES or at_last:
            return
        self._last = now
        parts = []
        for tally in [camera, *viewers]:
            frames, nbytes = tally.speed()
            parts.append(f"{tally.who} {tally.frames} frames ({frames:.0f}/s, {nbytes / 1e6:.0f} MB/s)")
        self._console.print(", ".join(parts), highlight=False, soft_wrap=True)


class Screen(Lines):
    """A table that is painted anew, and above it what a viewer sees."""

    def __init__(self, console: Console, title: str) -> None:
        super().__init__(console, title)
        self._live = Live(console=console, auto_refresh=False, transient=False, redirect_stdout=False)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, camera: Tally, viewers: Sequence[Tally], *, at_last: bool = False) -> None:
        now = time.monotonic()
        if now - self._last < _INTERVAL and not at_last:
            return
        self._last = now
        parts: list[RenderableType] = [Text(self._title, style="bold")]
        picture = next((viewer.picture for viewer in viewers if viewer.picture is not None), None)
        if picture is not None:
            parts += self._paint(picture)
        parts.append(_fitting_table(self._console, camera, viewers))
        self._live.update(Group(*parts), refresh=True)

    def _paint(self, picture: np.ndarray[Any, Any]) -> list[RenderableType]:
        """As far as there is room and colour."""
        console = self._console
        if console.no_color or console.color_system not in ("truecolor", "256"):
            return []
        if console.height < _TABLE_ROWS + len(picture) // 2:
            picture = picture[::2, ::2]
        if console.height < _TABLE_ROWS + len(picture) // 2 or console.width < picture.shape[1]:
            return []
        return [as_blocks(picture)]


def _fitting_table(console: Console, camera: Tally, viewers: Sequence[Tally]) -> Table:
    """With as many columns as there is room for."""
    unbounded = console.options.update(width=1000)
    for gone in range(len(_GO_FIRST) + 1):
        columns = [name for name in _COLUMNS if name not in _GO_FIRST[:gone]]
        table = _table(columns, camera, viewers)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    return table


def _table(columns: Sequence[str], camera: Tally, viewers: Sequence[Tally]) -> Table:
    table = Table("process", box=SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)

    def add(who: str, tallies: Sequence[Tally], more: dict[str, str], style: str = "") -> None:
        frames = f"{sum(tally.frames for tally in tallies)}"
        cells = {"frames": frames, **_speed(tallies), **more}
        table.add_row(who, *(cells.get(name, "") for name in columns), style=style)

    add(camera.who, [camera], {})
    for viewer in viewers:
        add(viewer.who, [viewer], _latency([viewer]))
    if viewers:
        table.add_section()
        add("all viewers", viewers, {**_latency(viewers), "lost": f"{lost_so_far(viewers)}"}, style="bold")
    return table


def _speed(tallies: Sequence[Tally]) -> dict[str, str]:
    frames, nbytes = np.sum([tally.speed() for tally in tallies], axis=0)
    return {"frames/s": f"{frames:.1f}", "MB/s": f"{nbytes / 1e6:.1f}"}


def _latency(tallies: Sequence[Tally]) -> dict[str, str]:
    latencies = np.concatenate([tally.latencies for tally in tallies])
    if not latencies.size:
        return {}
    median, p99 = np.percentile(latencies, [50, 99]) * 1000
    return {"median ms": f"{median:.1f}", "p99 ms": f"{p99:.1f}"}
