"""Send a hundred frames to examples/consumer.py: python examples/producer.py [ADDRESS]"""

import sys

import numpy as np

import nptransport as npt

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"

with npt.Producer(connect=address) as producer:
    frame = np.zeros((480, 640, 3), np.uint8)
    for number in range(100):
        frame[:] = number  # ours again as soon as send returns
        producer.send(frame, timeout=10)
    producer.send(None, timeout=10)  # the end: anything that a payload can be
print("sent 100 frames")
