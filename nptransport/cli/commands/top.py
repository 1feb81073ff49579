"""``nptransport top``: what goes by, how fast, how late, and what is missing."""

from __future__ import annotations

import click

import nptransport as npt

from ..options import (
    as_limits,
    check_addresses,
    json_option,
    limit_option,
    security_option,
    tell_if_open,
    timeout_option,
    watch_options,
)
from ..signals import interruptible
from ..watch.board import SORTS
from ..watch.feed import Feed, announce
from ..watch.top import Top

__all__ = ["command"]


@click.command("top", short_help="Watch what publishers send: rates, latency, loss.")
@watch_options
@click.option("--topic", metavar="PREFIX", default="", help="Only topics that begin with this.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="topic", show_default=True, help="What comes first.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Between two readings.",
)
@click.option("--once", is_flag=True, help="One reading, an interval after the first message, and end.")
@timeout_option("End after so many seconds of silence.")
@json_option
@security_option
@limit_option
def command(
    addresses: tuple[str, ...],
    bind: tuple[str, ...],
    connect: tuple[str, ...],
    topic: str,
    sort: str,
    interval: float,
    once: bool,
    timeout: float | None,
    as_json: bool,
    security: npt.Curve | None,
    limit_bytes: int,
) -> int:
    """A live table of the topics that the publishers at each ADDRESS send; lines where there is no terminal.

    \b
    msg/s, MB/s  over the last seconds, the metadata included
    median, p99  milliseconds from sending to receiving; with two machines, the difference
                 of their clocks is in it. "-" if that makes it negative, or nobody noted the time
    missed       what was sent since the first message seen, and did not come here; another
                 subscriber may well have got it
    age          since the newest came: a topic that falls silent stays in the table

    To its publishers it is one more subscriber; however slow, it holds nobody up.

    \b
    nptransport top tcp://camera-host:5556 --topic camera/ --sort latency
    """
    connect = (*addresses, *connect)
    check_addresses(bind, connect)
    with (
        interruptible() as interruption,
        npt.Subscriber(
            bind=bind, connect=connect, topics=(topic,), limits=as_limits(limit_bytes), security=security
        ) as subscriber,
    ):
        tell_if_open(bind, security)
        if bind:
            announce(subscriber.addresses, as_json=as_json)
        feed = Feed(subscriber, topic, interruption, timeout)
        Top(feed, sort=sort, interval=interval).run(once=once, as_json=as_json)
        return interruption.exit_code if interruption else 0
