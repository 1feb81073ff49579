"""The whole performance: start everybody, watch, and judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from rich.console import Console

import nptransport as npt

from ..exits import ExitCode, Stop
from ..signals import Interruption
from ..terminal import can_repaint
from .children import Children
from .pictures import FRAME_SHAPE, require_photographs
from .screen import Lines, Screen
from .tally import Tally, Verdict, judge

__all__ = ["Result", "perform"]

_PATIENCE = 15.0  # seconds besides those of the film


class Result(NamedTuple):
    """What was shown, and whether it was right."""

    verdict: Verdict
    seconds: float
    nbytes: int
    median: float
    """Of the seconds from sending a frame to receiving it."""
    p99: float


def perform(*, viewers: int, seconds: float, rate: float, interruption: Interruption) -> Result:
    """Show it for ``seconds``. Stop if a process fails, or takes far too long."""
    require_photographs()
    camera, audience = Tally("camera"), [Tally(f"viewer {number}") for number in range(1, viewers + 1)]
    everybody = [camera, *audience]
    height, width, _ = FRAME_SHAPE
    title = f"{width}x{height} RGB at {rate:g} frames/s over tcp, from a camera to {viewers} viewers in turn"
    console = Console(stderr=True)
    with (
        npt.Consumer(bind="tcp://127.0.0.1:*") as consumer,
        Children() as children,
        (Screen if can_repaint() else Lines)(console, title) as screen,
    ):

        def show() -> None:
            screen.show(camera, audience)

        watch = _Watch(consumer, everybody, children, interruption, seconds + _PATIENCE)
        tell = f"--tell={consumer.address}"
        children.start("demo-camera", tell, f"--viewers={viewers}", f"--seconds={seconds}", f"--rate={rate}")
        watch.until(lambda: bool(camera.address), show)
        for viewer in audience:
            children.start("demo-viewer", tell, f"--who={viewer.who}", f"--connect={camera.address}")
        watch.until(lambda: all(tally.digests for tally in everybody), show)
        screen.show(camera, audience, at_last=True)
    latencies = np.concatenate([viewer.latencies for viewer in audience])
    median, p99 = np.percentile(latencies, [50, 99]) if latencies.size else (0.0, 0.0)
    return Result(judge(camera, audience), camera.seconds, camera.nbytes, float(median), float(p99))


class _Watch:
    """Listens to the tallies, and for what may go wrong meanwhile."""

    def __init__(
        self,
        consumer: npt.Consumer,
        tallies: list[Tally],
        children: Children,
        interruption: Interruption,
        patience: float,
    ) -> None:
        self._consumer = consumer
        self._tallies = {tally.who: tally for tally in tallies}
        self._children = children
        self._interruption = interruption
        self._deadline = time.monotonic() + patience

    def until(self, reached: Callable[[], bool], after_each: Callable[[], None]) -> None:
        while not reached():
            try:
                news = self._consumer.recv(timeout=0.1)
                self._tallies[news["who"]].take(news)
            except npt.Timeout:
                self._children.check()
            after_each()
            if self._interruption:
                raise Stop(self._interruption.exit_code, "interrupted")
            if time.monotonic() > self._deadline:
                raise Stop(ExitCode.TIMEOUT, "the demo took far too long; is the machine very busy?")
