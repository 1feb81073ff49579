"""``nptransport bench``: how fast this machine moves arrays, with us and with what else there is."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
from rich.console import Console

from ..bench.candidates import choose
from ..bench.content import Reading
from ..bench.figures import Figures
from ..bench.lines import result_lines, summary_line
from ..bench.machine import Machine, this_machine
from ..bench.meter import Meter
from ..bench.plan import FULL_SIZES, QUICK_SECONDS, QUICK_SIZES, Plan
from ..bench.run import run
from ..bench.table import caption, tables
from ..exits import ExitCode, Stop
from ..options import Number, check_png, json_option
from ..signals import interruptible

__all__ = ["command"]

_WIDTH = 160  # columns, where there is no terminal that has a width
_LARGEST = 512_000_000
_LONGEST = 3600  # seconds of one turn
_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class _Size(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Bytes: 1KB, 64KiB, 0.9MB, 128000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMG]?I?B?)", str(value).strip().upper())
        if match is None or match[2] not in _UNITS:
            self.fail(f"{value!r} is no size such as 1KB, 64KiB or 128MB.", param, ctx)
        nbytes = round(float(match[1]) * _UNITS[match[2]])
        if not 16 <= nbytes <= _LARGEST or nbytes % 8:
            self.fail(f"{value} is not a multiple of 8 bytes between 16 and {_LARGEST // 10**6} MB.", param, ctx)
        return nbytes


class _Several(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """What another type makes of each part between commas."""

    def __init__(self, each: Any) -> None:
        self.each, self.name = each, each.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        return list(dict.fromkeys(self.each.convert(part.strip(), param, ctx) for part in str(value).split(",")))


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": _Several(click.Choice(words)), "metavar": ",".join(words)}


@click.command("bench", short_help="Measure this machine: us, pyzmq, a socket and memcpy.")
@click.option("--quick", is_flag=True, help="Within a minute: fewer candidates, sizes and rounds.")
@click.option("--patterns", **_one_of("stream", "roundtrip"), help="Only these.")
@click.option("--transports", **_one_of("tcp", "ipc", "shm"), help="Only these, and the limits of the machine.")
@click.option("--faces", **_one_of("sync", "asyncio"), help="Of ours, only these.")
@click.option("--sizes", type=_Several(_Size()), metavar="SIZE,...", help="Of one array: 1KB,64KiB,128MB.")
@click.option("--readers", **_one_of("touch", "read"), help="What is done with what arrives; see above.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Turns of each candidate.  [default: 5; quick: 3]")
@click.option(
    "--seconds",
    type=Number(0, _LONGEST, min_open=True),
    help="Of one turn, besides its warm-up.  [default: 0.3; quick: 0.08]",
)
@click.option("--plot", metavar="FILE.png", type=click.Path(dir_okay=False), help="Draw throughput against size.")
@json_option
def command(
    quick: bool,
    patterns: list[str] | None,
    transports: list[str] | None,
    faces: list[str] | None,
    sizes: list[int] | None,
    readers: list[Reading] | None,
    rounds: int | None,
    seconds: float | None,
    plot: str | None,
    as_json: bool,
) -> int:
    """How fast this machine moves arrays between processes: with this library (sync and asyncio; safe, lent and
    loaned), with pyzmq by hand (send_multipart, and part by part), and what the machine itself can do (a Unix
    socket into memory that is warm, and memcpy).

    In a round everybody takes a turn at each size, in fresh processes; medians and ratios are over the rounds. All
    that arrives is checked: dtype, shape, and first and last element, which number the messages ("touch"); or these
    and the sum of all elements ("read"). That takes the same time everywhere, and is a part of every figure. The
    clock runs from before the first message is sent until the last one has been checked; then all elements of that
    one are compared with what was sent. A loan is written whole only where it is read whole: with "touch" it shows
    what a message costs that nobody copies, and its ends are all there is to compare.

    \b
    nptransport bench --quick --plot speed.png
    nptransport bench --patterns stream --transports ipc --sizes 64KB,8MB --readers touch,read

    With --json, one object a line, told apart by "event":

    \b
    machine  cpu, cores, load, kernel, python, numpy, pyzmq, libzmq, nptransport
    result   name, pattern (stream, roundtrip), transport, face (sync, asyncio, pyzmq, system), reading, bytes,
             median, lowest, highest, rates (messages or round trips a second; one for each round),
             bytes_per_second, to_pyzmq (ratio to the faster pyzmq of the same round; null without one),
             to_pyzmq_of (rates for streams: more is better; times for round trips: less is better)
    missing  name, pattern, reason: what this system lacks
    summary  rounds, seconds, exit

    Where it is interrupted, or a process dies, the figures are of the rounds that were finished.
    """
    plan = Plan(
        candidates=choose(patterns=patterns or (), transports=transports or (), faces=faces or (), quick=quick),
        sizes=sizes or (QUICK_SIZES if quick else FULL_SIZES),
        readings=readers or (("touch",) if quick else ("touch", "read")),
        rounds=rounds or (3 if quick else 5),
        seconds=seconds or (0.08 if quick else 0.3),
    )
    if not any(candidate.ours for candidate in plan.candidates):
        raise click.UsageError("--quick leaves nothing of that; run it without", click.get_current_context())
    machine = this_machine()
    with _place_for(plot):
        with interruptible() as interruption, Meter(plan) as meter:
            enough = QUICK_SECONDS if quick and not rounds else None
            figures = run(plan, interruption, on_turn=meter.turn, enough=enough)
        stopped = figures.stopped
        if as_json:
            for line in result_lines(figures, machine):
                click.echo(line)
        elif figures.rounds:
            _print(figures, machine)
        if plot and any(True for _ in figures):
            stopped = _draw(figures, machine, plot) or stopped
        if as_json:
            click.echo(summary_line(figures, stopped.code if stopped else ExitCode.OK))
    if stopped:
        raise stopped
    return ExitCode.OK


def _print(figures: Figures, machine: Machine) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=_WIDTH)
    for table in tables(figures, console):
        console.print(table, crop=False)
    console.print(caption(figures, machine), highlight=False)


def _draw(figures: Figures, machine: Machine, path: str) -> Stop | None:
    """What went wrong, if anything did: the disk may have filled up since."""
    from ..bench.plot import draw

    try:
        draw(figures, machine, path)
    except OSError as error:
        return Stop(ExitCode.FAILED, f"--plot {path}: {error.strerror or error}")
    return None


@contextmanager
def _place_for(plot: str | None) -> Iterator[None]:
    """Stop, before minutes are spent, if no picture can be written there. Nothing empty stays where none was."""
    if plot is None:
        yield
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise Stop(ExitCode.USAGE, "--plot needs matplotlib: pip install 'nptransport[bench]'")
    check_png("--plot", plot)
    new = not os.path.lexists(plot)
    try:
        with open(plot, "ab"):
            pass
    except OSError as error:
        raise Stop(ExitCode.USAGE, f"--plot {plot}: {error.strerror}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            if new and os.path.getsize(plot) == 0:
                os.remove(plot)
