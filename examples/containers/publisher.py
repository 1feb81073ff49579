"""A camera on the network, until SIGTERM: python publisher.py tcp://*:5557"""

import itertools
import signal
import sys
import threading

from photographs import frame

import nptransport as npt

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

with npt.Publisher(bind=sys.argv[1]) as publisher:
    for number in itertools.count():
        publisher.send(frame(number), topic="camera/turning")  # number is the sequence of the message
        if ended.wait(1 / 30):
            break
print(f"published {publisher.statistics().messages} frames")
