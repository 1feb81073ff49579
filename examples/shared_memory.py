"""Frames through shared memory: the camera writes straight into what the detector reads.

python examples/shared_memory.py
"""

import multiprocessing
import os

import numpy as np

import nptransport as npt

ADDRESS = f"shm://example-{os.getpid()}"


def camera(address: str) -> None:
    with npt.Producer(connect=address, max_bytes=64_000_000) as producer:
        for number in range(100):
            with producer.loan((1080, 1920, 3), np.uint8) as frame:
                frame[:] = number


if __name__ == "__main__":
    with npt.Consumer(bind=ADDRESS) as detector:
        process = multiprocessing.get_context("spawn").Process(target=camera, args=(ADDRESS,))
        process.start()
        for number in range(100):
            frame = detector.recv(timeout=30)
            assert (frame[0, 0] == number).all()
        process.join()
        print(f"{detector.statistics().messages} frames of {frame.nbytes / 1e6:.1f} MB, none of them copied")
