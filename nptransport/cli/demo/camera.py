"""The camera: the process that sends."""

from __future__ import annotations

import time

import numpy as np

import nptransport as npt

from ..exits import ExitCode, Stop
from ..signals import Interruption
from .pictures import film, load_photographs
from .tally import Teller

__all__ = ["run_camera"]

_PATIENCE = 20.0  # seconds for the viewers to come


def run_camera(tell: str, *, viewers: int, seconds: float, rate: float, interruption: Interruption) -> int:
    """Send frames to whoever connects, in turn, and tallies to the address ``tell``."""
    with npt.Producer(bind="tcp://127.0.0.1:*") as producer:
        teller = Teller("camera", tell)
        teller.tell(address=producer.address)
        frames = film(load_photographs())
        _wait_for(producer, viewers)
        start = time.monotonic()
        for number, view in enumerate(frames):
            due = start + number / rate
            if due - start >= seconds or interruption:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            frame = np.ascontiguousarray(view)
            producer.send({"number": number, "frame": frame}, timeout=_PATIENCE)
            teller.count(number, frame)
            if teller.is_due():
                teller.tell()
        producer.close()
        teller.tell_last(seconds=time.monotonic() - start)
    return ExitCode.OK


def _wait_for(producer: npt.Producer, viewers: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while producer.statistics().connections < viewers:
        if time.monotonic() > deadline:
            raise Stop(ExitCode.TIMEOUT, f"{viewers} viewers did not come within {_PATIENCE:g} s")
        time.sleep(0.02)
