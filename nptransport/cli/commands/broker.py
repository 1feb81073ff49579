"""``nptransport broker``: many clients and many workers at one address each."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..options import (
    as_limits,
    check_addresses,
    grace_option,
    interval_option,
    json_option,
    limit_option,
    security_option,
    tell_if_open,
)
from ..signals import interruptible, serve_until
from ..warned import warnings_said

__all__ = ["command"]


@click.command("broker", short_help="Give the tasks of clients to workers.")
@click.option("--frontend", metavar="ADDRESS", multiple=True, help="Where clients connect; may be repeated.")
@click.option("--backend", metavar="ADDRESS", multiple=True, help="Where workers connect; may be repeated.")
@click.option("--max-tasks", type=click.IntRange(min=1), default=10_000, show_default=True, help="Tasks held here.")
@click.option(
    "--max-bytes", type=click.IntRange(min=1), default=2**30, show_default=True, help="Bytes of their arguments."
)
@interval_option
@grace_option
@json_option
@limit_option
@security_option
def command(
    frontend: tuple[str, ...],
    backend: tuple[str, ...],
    max_tasks: int,
    max_bytes: int,
    interval: float,
    grace: float,
    as_json: bool,
    limit_bytes: int,
    security: npt.Curve | None,
) -> int:
    """Stand between clients and workers, until Ctrl-C or SIGTERM.

    A worker has what it has slots for; what it had when it dies goes to others. What is not done at the end is kept by
    the clients, for a broker that is started again.

    \b
    nptransport broker --frontend tcp://*:5555 --backend tcp://*:5556
    """
    for option, bind in (("frontend", frontend), ("backend", backend)):
        if not bind:
            raise click.UsageError(f"give --{option} ADDRESS", click.get_current_context())
        check_addresses(bind, [])
    with (
        interruptible() as interruption,
        npt.Broker(
            frontend=frontend,
            backend=backend,
            max_messages=max_tasks,
            max_bytes=max_bytes,
            interval=interval,
            linger=grace,
            limits=as_limits(limit_bytes),
            security=security,
        ) as broker,
    ):
        tell_if_open([*frontend, *backend], security)
        _say(as_json, "listening", frontend=broker.frontend, backend=broker.backend)
        with warnings_said():
            serve_until(interruption, broker)
        left = broker.close()
        statistics = asdict(broker.statistics())
        statistics["workers"] = len(statistics["workers"])
        _say(as_json, "summary", **statistics, undone=left)
        if left:
            raise Stop(ExitCode.FAILED, f"{left} tasks were not done when it ended; their clients keep them")
    return ExitCode.OK


def _say(as_json: bool, event: str, **facts: object) -> None:
    if as_json:
        click.echo(json.dumps({"event": event, **facts}, default=dict))
    elif event == "listening":
        click.echo(f"clients at {facts['frontend']}, workers at {facts['backend']}", err=True)
    else:
        refused = f", {facts['refused']} connections refused" if facts["refused"] else ""
        click.echo(
            f"{facts['results']} results, {facts['errors']} errors, {facts['redelivered']} redelivered{refused}",
            err=True,
        )
