"""One run of ``view``: the newest payload of a topic, for as long as somebody looks."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

import nptransport as npt

from ..exits import ExitCode, Stop
from ..plain import plain
from ..units import as_age
from ..watch.feed import Feed
from ..watch.screen import Screen, can_be_painted
from .shown import NothingToShow, Shown, show

__all__ = ["View"]

_FRAME = 1 / 15  # seconds between pictures, at least
_CAPTION = 0.5  # seconds between captions: the age in it grows
_LINES = 1.0  # the same where there is no terminal
_CAPTION_LINES = 2
_LONG = 0.5  # seconds that no picture takes


class View:
    """Shows what the topic ``topic`` has, or the first topic that comes and begins so.

    Args:
        path: of the array within the payload; "" for the first one.
    """

    def __init__(self, feed: Feed, *, topic: str, path: str) -> None:
        self._feed = feed
        self._wanted = topic
        self._topic: str | None = None
        self._path = path
        self._message: npt.Message | None = None
        self._heard = time.monotonic()

    def run(self) -> None:
        """Until somebody ends it: pictures on a terminal, elsewhere a line now and then."""
        console = Console(highlight=False)
        if can_be_painted(console):
            self._paint(console)
        else:
            self._print()

    def once(self) -> None:
        """One picture."""
        console = Console(highlight=False)
        for message in self._newest():
            try:
                shown = show(message.payload, self._path)
            except NothingToShow as error:
                raise _stop(message, error) from None
            body, scaling = shown.draw(console.width, console.height - 1, colours=_has_colours(console))
            console.print(body)
            console.print(self._caption(message, shown, scaling), soft_wrap=True, markup=False)
            return

    def save(self, path: str) -> None:
        """One picture, into the file ``path``."""
        for attempt, message in enumerate(self._newest()):
            begun = time.monotonic()
            try:
                shown = show(message.payload, self._path)
                data, scaling = shown.save()
            except NothingToShow as error:
                raise _stop(message, error) from None
            if not attempt and time.monotonic() - begun > _LONG:
                continue  # what draws was imported meanwhile, and there is something newer
            with open(path, "wb") as file:
                file.write(data)
            click.echo(f"{path}: {self._caption(message, shown, scaling)}")
            return

    def _paint(self, console: Console) -> None:
        painted, painted_at = None, 0.0
        with Screen(console, _CAPTION) as screen:
            while not self._feed.interrupted:
                if "q" in screen.typed():
                    return
                is_new = self._message is not painted and time.monotonic() - painted_at >= _FRAME
                if is_new or screen.is_due():
                    painted, painted_at = self._message, time.monotonic()
                    screen.paint(self._picture(console, "  [q]uit" if screen.has_keys else ""))
                self._take()

    def _picture(self, console: Console, foot: str) -> RenderableType:
        message = self._message
        if message is None:
            return Text(self._feed.waiting(time.monotonic() - self._heard))
        foot = self._feed.refused(self._feed.statistics()) + foot
        try:
            shown = show(message.payload, self._path)
        except NothingToShow as error:
            return Text(self._excuse(message, error) + foot)
        body, scaling = shown.draw(console.width, console.height - _CAPTION_LINES, colours=_has_colours(console))
        return Group(body, Text(self._caption(message, shown, scaling) + foot))

    def _print(self) -> None:
        due = 0.0
        for message in self._newest():
            if time.monotonic() >= due:
                try:
                    click.echo(self._caption(message, show(message.payload, self._path)))
                except NothingToShow as error:
                    click.echo(self._excuse(message, error))
                due = time.monotonic() + _LINES

    def _newest(self) -> Iterator[npt.Message]:
        """The newest message, again and again; as long as there is none, on stderr what is waited for."""
        told = ""
        while not self._feed.interrupted:
            self._take()
            if self._message is not None:
                yield self._message
            elif not told and (told := self._feed.waiting(time.monotonic() - self._heard)):
                click.echo(told, err=True)

    def _take(self) -> None:
        """For a moment."""
        for message in self._feed.take_slice():
            if message.topic == self._wanted or self._topic is None:
                self._topic = message.topic
            if message.topic == self._topic:
                self._message, self._heard = message, time.monotonic()
        self._feed.check_silence(time.monotonic() - self._heard)

    def _caption(self, message: npt.Message, shown: Shown, scaling: str = "") -> str:
        return f"{_name(message)}  {shown.describe(scaling)}  {self._age(message)}"

    def _excuse(self, message: npt.Message, error: NothingToShow) -> str:
        return f"{_name(message)}  {error}  {self._age(message)}"

    def _age(self, message: npt.Message) -> str:
        """Since it was sent, if both clocks agree that this was before now; else since it came."""
        age = time.time() - message.sent_at if message.sent_at is not None else -1.0
        return f"sent {as_age(age)} ago" if age >= 0 else f"came {as_age(time.monotonic() - self._heard)} ago"


def _has_colours(console: Console) -> bool:
    return bool(console.color_system) and not console.no_color


def _name(message: npt.Message) -> str:
    return plain(message.topic or "") or "(no topic)"


def _stop(message: npt.Message, error: NothingToShow) -> Stop:
    return Stop(ExitCode.FAILED, f"{_name(message)}: {error}")
