"""The camera of ``nptransport demo``, in a process of its own."""

from __future__ import annotations

import click

from ..demo.camera import run_camera
from ..signals import interruptible

__all__ = ["command"]


@click.command("demo-camera", hidden=True)
@click.option("--tell", required=True)
@click.option("--viewers", type=int, required=True)
@click.option("--seconds", type=float, required=True)
@click.option("--rate", type=float, required=True)
def command(tell: str, viewers: int, seconds: float, rate: float) -> int:
    """Film photographs, and send the frames to whoever connects."""
    with interruptible() as interruption:
        return run_camera(tell, viewers=viewers, seconds=seconds, rate=rate, interruption=interruption)
