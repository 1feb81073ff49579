"""One run of ``top``: messages onto the board, and the board to people."""

from __future__ import annotations

import time

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..units import counted
from . import table
from .board import SORTS, Board
from .feed import Feed
from .screen import Screen, can_be_painted

__all__ = ["Top"]

_FRAME = 6  # lines around the rows: the title, the head of the table, the foot
_KEYS = {name[0]: name for name in SORTS}


class Top:
    """Counts whatever comes.

    Args:
        sort: one of SORTS; on a terminal, keys change it.
        interval: seconds from one reading to the next.
    """

    def __init__(self, feed: Feed, *, sort: str, interval: float) -> None:
        self._feed = feed
        self._sort = sort
        self._interval = interval
        self._board = Board(interval)
        self._heard = time.monotonic()

    def run(self, *, once: bool, as_json: bool) -> None:
        """Until somebody ends it or, with ``once``, until there is a reading. Stop after too long a silence."""
        console = Console(highlight=False)
        if can_be_painted(console) and not once and not as_json:
            self._paint(console)
        else:
            self._print(console, once, as_json)

    def _paint(self, console: Console) -> None:
        with Screen(console, self._interval) as screen:
            while not self._feed.interrupted:
                keys = screen.typed()
                if "q" in keys:
                    return
                for key in keys:
                    self._sort = _KEYS.get(key, self._sort)
                if screen.is_due():
                    screen.paint(self._picture(console.width, console.height, screen.has_keys))
                self._count()

    def _print(self, console: Console, once: bool, as_json: bool) -> None:
        told, due = "", 0.0
        while not self._feed.interrupted:
            self._count()
            now = time.monotonic()
            if not self._board:
                if not told and (told := self._feed.waiting(now - self._heard)):
                    click.echo(told, err=True)
            elif not due:
                due = now + self._interval
            elif now >= due:
                click.echo(self._reading(console, as_json))
                if once:
                    return
                due = max(now, due + self._interval)

    def _count(self) -> None:
        """For a moment, so that keys and clock are looked at in between."""
        for message in self._feed.take_slice():
            self._heard = time.monotonic()
            self._board.add(message, self._heard)
        self._feed.check_silence(time.monotonic() - self._heard)

    def _reading(self, console: Console, as_json: bool) -> str:
        statistics = self._feed.statistics()
        rows = self._board.rows(time.monotonic(), statistics, self._sort)
        if as_json:
            return table.as_json(rows, statistics)
        if not can_be_painted(console):
            return "\n".join(table.as_lines(rows))
        with console.capture() as captured:
            console.print(table.as_table(rows, self._sort, console.width))
        return captured.get().rstrip("\n")

    def _picture(self, width: int, height: int, has_keys: bool) -> RenderableType:
        now, statistics = time.monotonic(), self._feed.statistics()
        rows = self._board.rows(now, statistics, self._sort)
        publishers, streams = counted(statistics.connections, "publisher"), counted(len(rows), "stream")
        title = Text(f"{self._feed.where}: {publishers}, {streams}", style="bold")
        title.append(self._feed.refused(statistics), style="red")
        title.no_wrap, title.overflow = True, "ellipsis"
        if not rows:
            return Group(title, Text("waiting for a message"))
        room = max(1, height - _FRAME)
        foot = f"… and {len(rows) - room} more" if len(rows) > room else ""
        if has_keys:
            keys = [f"[{name[0]}]{name[1:]}" for name in SORTS]
            foot = "  ".join(filter(None, [foot, "[q]uit", "  sort by", *keys]))
        return Group(title, table.as_table(rows, self._sort, width, room), Text(foot, style="dim", no_wrap=True))
