"""Checks each frame of publisher.py, until SIGTERM: python subscriber.py tcp://publisher:5557 CHECKED

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

with npt.Subscriber(connect=sys.argv[1], topics="camera/") as subscriber:
    while not ended.is_set():
        try:
            message = subscriber.recv_message(timeout=0.5)
        except npt.Timeout:
            continue  # the publisher may come later, and again
        if not np.array_equal(message.payload, frame(message.sequence)):
            sys.exit(f"frame {message.sequence} is not what was sent")
        Path(sys.argv[2]).touch()
    statistics = subscriber.statistics()
print(f"checked {statistics.received} frames, missed {statistics.missed}")
if not statistics.received:
    sys.exit("nothing came")
