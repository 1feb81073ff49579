"""A model slower than its camera still sees what is there now: python examples/latest_only.py"""

import threading
import time

import numpy as np

import nptransport as npt


def film(publisher: npt.Publisher, stop: threading.Event) -> None:
    """A camera of 50 frames a second."""
    frame = np.zeros((480, 640, 3), np.uint8)
    while not stop.wait(1 / 50):
        frame += 1
        publisher.send(frame, topic="camera")


stop = threading.Event()
with (
    npt.Publisher(bind="tcp://127.0.0.1:*") as publisher,
    npt.Subscriber(connect=publisher.address, topics="camera", latest=True, max_age=0.5) as subscriber,
):
    camera = threading.Thread(target=film, args=(publisher, stop))
    camera.start()
    for _ in range(10):
        message = subscriber.recv_message(timeout=10)
        age = time.time() - message.sent_at
        skipped = subscriber.statistics().skipped
        print(f"frame {message.sequence}: {1000 * age:.1f} ms old, {skipped} skipped so far")
        time.sleep(0.2)  # the model thinks
    stop.set()
    camera.join()
    (stream,) = subscriber.statistics().streams.values()
print(f"received {stream.received} + skipped {stream.skipped} + stale {stream.stale} + missed {stream.missed}")
print(f"= {stream.sent} sent since frame {stream.first}")
