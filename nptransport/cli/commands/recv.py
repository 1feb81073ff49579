"""``nptransport recv``: files that ``nptransport send`` sends, into a folder."""

from __future__ import annotations

import os

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..lookup import Lookup
from ..options import (
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
from ..transfer.intake import Intake
from ..transfer.partfile import sweep
from ..transfer.receiving import Receiving

__all__ = ["command"]


@click.command("recv", short_help="Receive files of arrays into a folder.")
@address_options
@click.option("--out", metavar="FOLDER", required=True, type=click.Path(file_okay=False), help="Made if there is none.")
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after so many files.")
@timeout_option("End after so many seconds of silence.")
@click.option("--forever", is_flag=True, help="Go on when all senders are through.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--verify", is_flag=True, help="Take only files with a digest (send --verify).")
@json_option
@security_option
@limit_option
def command(
    bind: tuple[str, ...],
    connect: tuple[str, ...],
    out: str,
    count: int | None,
    timeout: float | None,
    forever: bool,
    overwrite: bool,
    verify: bool,
    as_json: bool,
    security: npt.Curve | None,
    limit_bytes: int,
) -> int:
    """Receive what `nptransport send` sends, and write it to FOLDER: arrays as .npy, groups of them as .npz, images
    and video as .npy of what was decoded.

    It ends when every sender that has begun is through. A file appears under its name when it is whole; where
    it came with a digest (send --verify), when it has been read back and found to be what the sender read.

    \b
    nptransport recv --bind tcp://*:5555 --out frames
    """
    check_addresses(bind, connect)
    with (
        interruptible() as interruption,
        npt.Consumer(bind=bind, connect=connect, limits=as_limits(limit_bytes), security=security) as consumer,
        Report(as_json=as_json) as report,
    ):
        _make_folder(out)
        tell_if_open(bind, security)
        for address in consumer.addresses[: len(bind)]:
            report.listening(address)
        for name in sweep(out):
            report.note(f"removed {name}, left by a recv that was killed")
        lookup = Lookup(connect)
        receiving = Receiving(out, report, overwrite=overwrite, verify=verify)
        intake = Intake(consumer, receiving, report, interruption, timeout=timeout, count=count, forever=forever)
        silence: Stop | None = None
        try:
            code = intake.run()
        except Stop as stop:
            silence, code = stop, stop.code
        report.summary(code, malformed=receiving.malformed, refused=receiving.refused)
        if silence is not None:
            raise Stop(silence.code, f"{silence}{lookup.verdict}")
        return code


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Stop(ExitCode.USAGE, f"--out {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):  # better said now than of every file
        raise Stop(ExitCode.USAGE, f"--out {path}: not writable; choose another folder, or change its permissions")
