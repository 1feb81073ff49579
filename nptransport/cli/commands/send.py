"""``nptransport send``: files of arrays, images and video to ``nptransport recv``, or to any Consumer."""

from __future__ import annotations

from collections.abc import Sequence

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..options import (
    POSITIVE,
    address_options,
    as_limits,
    check_addresses,
    json_option,
    limit_option,
    security_option,
    tell_if_open,
    timeout_option,
)
from ..report import Report
from ..signals import interruptible
from ..transfer.line import Line
from ..transfer.sending import Sending, largest_piece
from ..transfer.sources import BadFile, Source, open_source

__all__ = ["command"]


@click.command("send", short_help="Send files of arrays, images, video.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@address_options
@click.option("--split", is_flag=True, help="Send each array frame by frame, along its first axis.")
@click.option("--rate", metavar="FPS", type=POSITIVE, help="Frames a second, at most.")
@timeout_option("How long to wait for the receiver, and for room there.")
@click.option("--verify", is_flag=True, help="Send digests along, so that the receiver compares what it wrote.")
@json_option
@security_option
@limit_option
def command(
    files: tuple[str, ...],
    bind: tuple[str, ...],
    connect: tuple[str, ...],
    split: bool,
    rate: float | None,
    timeout: float | None,
    verify: bool,
    as_json: bool,
    security: npt.Curve | None,
    limit_bytes: int,
) -> int:
    """Send each FILE: .npy, .npz, an image, or a video (frame by frame). No file has to fit into memory; none that
    holds Python objects is opened, as only pickle could.

    It ends when the receiver has read everything. What became of each file there, `nptransport recv` says.

    \b
    nptransport send --connect tcp://camera-host:5555 --verify left.npy right.npy clip.mp4
    """
    check_addresses(bind, connect)
    limits = as_limits(limit_bytes)
    sources = _open_all(files, split, largest_piece(limits))
    with (
        interruptible() as interruption,
        npt.Producer(bind=bind, connect=connect, limits=limits, linger=0, security=security) as producer,
        Report(as_json=as_json) as report,
    ):
        tell_if_open(bind, security)
        if bind:
            for address in producer.addresses:
                report.listening(address)
        line = Line(producer, report, interruption, connect=connect, timeout=timeout)
        try:
            Sending(line, report, verify=verify, rate=rate, limits=limits).run(sources)
        except Stop as stop:
            report.summary(stop.code)
            raise
        code = interruption.exit_code if interruption else ExitCode.FAILED if report.failed else ExitCode.OK
        report.summary(code)
        return code


def _open_all(files: Sequence[str], split: bool, largest: int) -> list[Source]:
    """All of them, looked into before anything is sent."""
    sources: dict[str, Source] = {}
    for path in files:
        try:
            source = open_source(path, split=split, largest=largest)
        except BadFile as error:
            raise Stop(ExitCode.USAGE, f"{path}: {error}") from None
        except OSError as error:
            raise Stop(ExitCode.USAGE, f"{path}: {error.strerror or error}") from None
        if source.name in sources:
            raise Stop(ExitCode.USAGE, f"{path}: another file would arrive as {source.name}, too; rename one of them")
        sources[source.name] = source
    return list(sources.values())
