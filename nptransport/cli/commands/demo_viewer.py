"""A viewer of ``nptransport demo``, in a process of its own."""

from __future__ import annotations

import click

from ..demo.viewer import run_viewer
from ..signals import interruptible

__all__ = ["command"]


@click.command("demo-viewer", hidden=True)
@click.option("--who", required=True)
@click.option("--connect", required=True)
@click.option("--tell", required=True)
def command(who: str, connect: str, tell: str) -> int:
    """Receive frames from the camera, and tell what came."""
    with interruptible() as interruption:
        return run_viewer(who, connect, tell, interruption=interruption)
