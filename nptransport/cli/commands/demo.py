"""``nptransport demo``: see it work."""

from __future__ import annotations

import json

import click
from rich.filesize import decimal

from ..demo.show import Result, perform
from ..exits import ExitCode
from ..options import Number, json_option
from ..signals import interruptible

__all__ = ["command"]


@click.command("demo", short_help="See photographs stream between processes.")
@click.option("--seconds", type=Number(0.5, 3600), default=8, show_default=True, help="How long to stream.")
@click.option("--viewers", type=click.IntRange(1, 16), default=2, show_default=True, help="Processes that receive.")
@click.option("--rate", metavar="FPS", type=Number(1, 1000), default=60, show_default=True, help="Frames a second.")
@json_option
def command(seconds: float, viewers: int, rate: float, as_json: bool) -> int:
    """A camera in one process films photographs; viewers in others get its frames in turn, over tcp.

    At the end it is checked that every frame arrived once, and as it was sent: exit code 0 if so, else 1.
    """
    with interruptible() as interruption:
        result = perform(viewers=viewers, seconds=seconds, rate=rate, interruption=interruption)
    click.echo(_as_json(result) if as_json else _as_text(result, viewers))
    return ExitCode.OK if result.verdict.good else ExitCode.FAILED


def _as_text(result: Result, viewers: int) -> str:
    verdict, speed = result.verdict, decimal(int(result.nbytes / result.seconds)) if result.seconds else "0 bytes"
    digests = "equal" if verdict.digests_equal else "different"
    return "\n".join(
        [
            f"sent       {verdict.sent} frames, {decimal(result.nbytes)} in {result.seconds:.1f} s: {speed}/s",
            f"received   {verdict.received} by {viewers} viewers: {verdict.lost} lost, {verdict.doubled} doubled",
            f"digests    {digests} (blake2b of every frame, added up on both sides)",
            f"latency    median {result.median * 1000:.1f} ms, p99 {result.p99 * 1000:.1f} ms",
            click.style("every frame arrived once, as it was sent", fg="green")
            if verdict.good
            else click.style("what arrived is not what was sent", fg="red"),
        ]
    )


def _as_json(result: Result) -> str:
    facts = {**result.verdict._asdict(), "bytes": result.nbytes, "seconds": round(result.seconds, 3)}
    times = {"median_ms": round(result.median * 1000, 3), "p99_ms": round(result.p99 * 1000, 3)}
    return json.dumps({"event": "summary", **facts, **times, "good": result.verdict.good})
