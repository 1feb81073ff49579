"""The webcam, or a clip, or else a picture that turns, to viewer.py: python examples/camera.py [ADDRESS] [CLIP]"""

import sys
import time

import numpy as np

import nptransport as npt

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5556"
source = sys.argv[2] if len(sys.argv) > 2 else "<video0>"  # the webcam; takes imageio[ffmpeg]


def pictures():
    try:
        from imageio import v3 as iio

        yield from iio.imiter(source)
    except (ImportError, OSError, IndexError):
        picture = still()
        while True:
            yield (picture := np.roll(picture, 4, axis=1))


def still() -> np.ndarray:
    try:
        from skimage.data import astronaut as photograph
    except ImportError:
        return (np.indices((480, 640)).sum(axis=0)[..., None] * (1, 2, 3)).astype(np.uint8)
    return photograph()


with npt.Publisher(bind=address) as publisher:
    publisher.wait_for_subscribers(topic="camera/front", timeout=60)
    for _, picture in zip(range(100), pictures(), strict=False):
        publisher.send(picture, topic="camera/front")  # never waits for a viewer
        time.sleep(1 / 30)
    publisher.send(None, topic="camera/front")  # the end: anything that a payload can be
print(f"sent {publisher.statistics().messages - 1} frames")
