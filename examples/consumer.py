"""Receive the frames of examples/producer.py: python examples/consumer.py [ADDRESS]"""

import sys

import nptransport as npt

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"

with npt.Consumer(bind=address) as consumer:
    for number, frame in enumerate(consumer):
        if frame is None:
            break
        assert frame.shape == (480, 640, 3)
        assert frame.min() == frame.max() == number
    statistics = consumer.statistics()
print(f"received {statistics.messages - 1} frames, missed {statistics.missed}, {statistics.nbytes / 1e6:.1f} MB")
