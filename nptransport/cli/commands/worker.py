"""``nptransport worker``: offers the functions of a module to a broker."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..lookup import Lookup
from ..options import (
    as_limits,
    check_addresses,
    grace_option,
    interval_option,
    json_option,
    limit_option,
    security_option,
)
from ..pool.crew import Crew
from ..pool.registry import load
from ..signals import interruptible
from ..warned import warnings_said

__all__ = ["command"]

_LOOK = 0.1  # seconds between two looks whether somebody wants it to end
_ALONE = 1.0  # seconds without a broker until it says so
_MORE = 1.0  # seconds that a process needs to end, beyond the grace time of its task


@click.command("worker", short_help="Do the tasks that a broker gives out.")
@click.argument("module", metavar="MODULE[:OBJECT]")
@click.option("--connect", metavar="ADDRESS", required=True, help="The broker's backend.")
@click.option(
    "--slots", type=click.IntRange(min=1), default=1, show_default=True, help="Tasks at one time, in threads."
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Workers, each a process that is started again when it dies.",
)
@click.option("--name", help="What the broker calls it; host and process otherwise.")
@click.option(
    "--max-bytes", type=click.IntRange(min=1), default=2**28, show_default=True, help="Shared memory for results."
)
@interval_option
@grace_option
@click.option("--parent", type=int, hidden=True)
@json_option
@limit_option
@security_option
def command(
    module: str,
    connect: str,
    slots: int,
    processes: int,
    name: str | None,
    max_bytes: int,
    interval: float,
    grace: float,
    parent: int | None,
    as_json: bool,
    limit_bytes: int,
    security: npt.Curve | None,
) -> int:
    """Offer the functions of MODULE until Ctrl-C or SIGTERM; what is being worked on is finished first.

    MODULE is importable from here, and has a registry; or OBJECT in it is one, or a function:

    \b
    methods = npt.Methods()
    @methods.method
    def blur(image, sigma=2.0): ...

    \b
    nptransport worker filters --connect tcp://broker-host:5556 --processes 4
    """
    check_addresses([], [connect])
    if processes > 1:
        return _lead(processes, grace, as_json)
    methods = load(module)
    with (
        interruptible(patient=parent is not None) as interruption,
        npt.Worker(
            connect=connect,
            slots=slots,
            methods=methods,
            name=name,
            interval=interval,
            max_bytes=max_bytes,
            linger=grace,
            limits=as_limits(limit_bytes),
            security=security,
        ) as worker,
    ):
        failures: list[Exception] = []
        serving = threading.Thread(target=_serve, args=(worker, failures), daemon=True)
        serving.start()
        _say(as_json, "working", methods=sorted(methods.signatures), slots=slots, connect=connect, pid=os.getpid())
        with warnings_said():
            _wait(worker, serving, lambda: bool(interruption) or parent not in (None, os.getppid()), connect)
        worker.close(linger=grace)
        statistics = worker.statistics()
        _say(as_json, "summary", results=statistics.results, errors=statistics.errors, undone=statistics.begun)
    for failure in failures:
        raise failure
    if statistics.begun:
        raise Stop(ExitCode.FAILED, f"{statistics.begun} tasks were not finished in time; they go to other workers")
    return ExitCode.OK


def _wait(worker: npt.Worker, serving: threading.Thread, has_to_end: Callable[[], bool], connect: str) -> None:
    """Until it serves no more, or has to end; say it once if no broker is there."""
    lookup, alone_until = Lookup([connect]), time.monotonic() + _ALONE
    told = False
    while serving.is_alive() and not has_to_end():
        serving.join(_LOOK)
        if not told and time.monotonic() > alone_until:
            told = True
            if not worker.statistics().connections:
                click.echo(f"waiting for a broker at {connect}{lookup.verdict}", err=True)


def _serve(worker: npt.Worker, failures: list[Exception]) -> None:
    try:
        worker.serve()
    except npt.TransportError as error:
        failures.append(error)


def _lead(processes: int, grace: float, as_json: bool) -> int:
    def on_death(code: int) -> None:
        _say(as_json, "died", code=code)

    one = ["--processes", "1", "--parent", str(os.getpid())]  # the last of an option counts
    crew = Crew([sys.executable, "-m", "nptransport_command", *sys.argv[1:], *one], processes, on_death)
    with interruptible() as interruption:
        try:
            crew.work(interruption)
        finally:
            gently = crew.end(grace + _MORE)
    if not gently:
        raise Stop(ExitCode.FAILED, "not every worker finished in time; their tasks go to others")
    return ExitCode.OK


def _say(as_json: bool, event: str, **facts: object) -> None:
    if as_json:
        click.echo(json.dumps({"event": event, **facts}))
    elif event == "working":
        click.echo(f"offers {', '.join(facts['methods'])} to {facts['connect']}", err=True)  # type: ignore[arg-type]
    elif event == "died":
        click.echo(f"a worker died (exit code {facts['code']}); another takes its place", err=True)
    else:
        click.echo(f"{facts['results']} results, {facts['errors']} errors", err=True)
