"""Writes frames straight into what detector.py reads, until SIGTERM: python camera.py shm:///run/nptransport/camera"""

import signal
import sys
import threading

from photographs import frame

import nptransport as npt

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
first = frame(0)

with npt.Producer(connect=sys.argv[1], max_bytes=64_000_000) as producer:
    while not ended.wait(1 / 30):
        number = producer.statistics().messages  # the sequence of the next
        try:
            with producer.loan(first.shape, first.dtype, timeout=0.5) as memory:
                memory[:] = frame(number)
        except npt.Timeout:
            continue  # no detector, or one that holds all: once more
print(f"sent {producer.statistics().messages} frames")
