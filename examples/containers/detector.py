"""Checks each frame of camera.py, until SIGTERM: python detector.py shm:///run/nptransport/camera CHECKED

CHECKED is a file that is touched with each frame: a health check looks how old it is.
"""

import signal
import sys
import threading
from pathlib import Path

import numpy as np
from photographs import frame

import nptransport as npt

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

with npt.Consumer(bind=sys.argv[1]) as consumer:
    while not ended.is_set():
        try:
            message = consumer.recv_message(timeout=0.5)
        except npt.Timeout:
            continue  # the camera may come later, and again
        if not np.array_equal(message.payload, frame(message.sequence)):
            sys.exit(f"frame {message.sequence} is not what was sent")
        Path(sys.argv[2]).touch()
    statistics = consumer.statistics()
print(f"checked {statistics.messages} frames, missed {statistics.missed}")
if statistics.missed or not statistics.messages:
    sys.exit("frames are missing")
