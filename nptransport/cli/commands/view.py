"""``nptransport view``: the newest array of a topic, to look at."""

from __future__ import annotations

import importlib.util

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..options import (
    as_limits,
    check_addresses,
    check_png,
    limit_option,
    security_option,
    tell_if_open,
    timeout_option,
    watch_options,
)
from ..picture.view import View
from ..signals import interruptible
from ..watch.feed import Feed, announce

__all__ = ["command"]

_NEEDED = {"PIL": "pillow", "plotille": "plotille"}


@click.command("view", short_help="Look at the arrays of a topic: picture, plot, PNG.")
@watch_options
@click.option("--topic", metavar="TOPIC", default="", help="The topic, or how it begins; else whichever comes first.")
@click.option(
    "--path", metavar="PATH", default="", help="Of the array in a nest, as frames[2].left; without it, the first."
)
@click.option("--once", is_flag=True, help="Show one picture, and end.")
@click.option("--save", metavar="FILE.png", type=click.Path(dir_okay=False), help="Write one picture, and end.")
@timeout_option("End after so many seconds of silence.")
@security_option
@limit_option
def command(
    addresses: tuple[str, ...],
    bind: tuple[str, ...],
    connect: tuple[str, ...],
    topic: str,
    path: str,
    once: bool,
    save: str | None,
    timeout: float | None,
    security: npt.Curve | None,
    limit_bytes: int,
) -> int:
    """The newest array of a topic, in the terminal: a picture of what has rows and columns, a plot of what is 1-D.

    Grey values are stretched to what is there. Three or four channels, first or last, are colours. Of more
    dimensions it shows slices in the middle. The caption says what is shown, its range, and how old it is.

    \b
    nptransport view tcp://camera-host:5556 --topic camera/left
    nptransport view tcp://camera-host:5556 --topic lidar --path scan.ranges --save scan.png
    """
    connect = (*addresses, *connect)
    check_addresses(bind, connect)
    _check_packages()
    if save is not None:
        check_png("--save", save)
    with (
        interruptible() as interruption,
        npt.Subscriber(
            bind=bind, connect=connect, topics=(topic,), latest=True, limits=as_limits(limit_bytes), security=security
        ) as subscriber,
    ):
        tell_if_open(bind, security)
        if bind:
            announce(subscriber.addresses, as_json=False)
        view = View(Feed(subscriber, topic, interruption, timeout), topic=topic, path=path)
        if save:
            view.save(save)
        elif once:
            view.once()
        else:
            view.run()
        return interruption.exit_code if interruption else 0


def _check_packages() -> None:
    for module, package in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise Stop(ExitCode.USAGE, f"view needs {package}: pip install 'nptransport[view]'")
