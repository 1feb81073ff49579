"""A viewer: one of the processes that receive."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import nptransport as npt

from ..exits import ExitCode, Stop
from ..signals import Interruption
from .pictures import FRAME_SHAPE
from .tally import Teller

__all__ = ["PICTURE_SHAPE", "run_viewer"]

PICTURE_SHAPE = (36, 64, 3)  # of what is shown of a frame
_PATIENCE = 20.0  # seconds of silence


def run_viewer(who: str, connect: str, tell: str, *, interruption: Interruption) -> int:
    """Receive frames until the camera has gone, and send tallies to the address ``tell``."""
    teller = Teller(who, tell)
    frame = np.zeros(FRAME_SHAPE, np.uint8)
    heard = time.monotonic()
    with npt.Consumer(connect=connect) as consumer:
        while not interruption:
            try:
                message = consumer.recv_message(timeout=0.1)
            except npt.Timeout:
                statistics = consumer.statistics()
                if statistics.disconnects and not statistics.connections:
                    break
                if time.monotonic() - heard > _PATIENCE:
                    raise Stop(ExitCode.TIMEOUT, f"{who}: nothing came for {_PATIENCE:g} s") from None
                continue
            heard = time.monotonic()
            latency = time.time() - (message.sent_at or 0.0)
            frame = message.payload["frame"]
            teller.count(message.payload["number"], frame, latency)
            if teller.is_due():
                teller.tell(picture=_shrink(frame))
    teller.tell_last(picture=_shrink(frame))
    return ExitCode.OK


def _shrink(frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Small enough for a terminal: means of the blocks, of every fourth pixel that is."""
    height, width, channels = PICTURE_SHAPE
    sample = frame[::4, ::4]
    blocks = sample.reshape(height, sample.shape[0] // height, width, sample.shape[1] // width, channels)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)
