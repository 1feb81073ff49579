"""Peak memory of a producer and a consumer while frames stream from one to the other.

    python benchmarks/memory.py [--frames 1000] [--size 24883200] [--addresses tcp ipc shm]

By default 1,000 frames of 24.9 MB, a picture of 3840 x 2160 in three colours: with ``send`` as it is, with
``copy=False``, and over shm:// with loans; the consumer takes each at once, or rests 20 ms after each. It checks dtype,
shape and three elements of each, and every element of the last. What is told is the peak of resident memory above what
each process had before the first frame, in frames. Pages of shared memory count in both processes, which have them
once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import repository  # noqa: F401 - for what is imported below
from arguments import Parser
from streaming import Expected, array_of, figure_from, free_port, ready, started

import nptransport as npt


def peak() -> int:
    """Bytes of resident memory, at the most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def produce(address: str, way: str, frames: int, size: int) -> None:
    frame = array_of(size)
    with npt.Producer(connect=address) as producer:
        producer.send(b"begin")
        before = peak()
        for _ in range(frames):
            if way == "loan":
                with producer.loan(size, np.uint8) as lent:
                    lent[:] = frame
            else:
                producer.send(frame, copy=way == "safe")
        producer.flush()
    print(peak() - before, flush=True)


def consume(address: str, rest: float, frames: int, size: int) -> None:
    expected = Expected(size)
    with npt.Consumer(bind=address) as consumer:
        ready()
        consumer.recv(timeout=60)
        before = peak()
        for _ in range(frames):
            frame = consumer.recv(timeout=60)
            expected.look(frame)
            time.sleep(rest)
        risen = peak() - before
        expected.compare(frame)
    print(risen, flush=True)


def turn(address: str, way: str, rest: float, frames: int, size: int) -> tuple[float, float]:
    """Peaks of producer and consumer, in frames."""
    consumer = started("--role", "consume", address, rest, frames, size)
    command = [sys.executable, __file__, "--role", "produce", address, way, str(frames), str(size)]
    producer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        held = figure_from(consumer, "the consumer")
        return figure_from(producer, "the producer") / size, held / size
    finally:
        producer.kill()  # it would wait for a consumer that failed
        producer.wait()


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--size", type=int, default=3840 * 2160 * 3)
    parser.add_argument("--addresses", nargs="*", default=["tcp", "ipc", "shm"], choices=["tcp", "ipc", "shm"])
    parser.add_argument("--role", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role, address, how, frames, size = options.role
        if role == "produce":
            produce(address, how, int(frames), int(size))
        else:
            consume(address, float(how), int(frames), int(size))
        return
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        number = 0
        for scheme in options.addresses:
            for way in ("safe", "lent", "loan") if scheme == "shm" else ("safe", "lent"):
                for rest in (0.0, 0.02):
                    number += 1
                    address = f"tcp://127.0.0.1:{free_port()}" if scheme == "tcp" else f"{scheme}://{folder}/{number}"
                    frames = options.frames if not rest else options.frames // 4
                    sender, reader = turn(address, way, rest, frames, options.size)
                    pace = f"{rest * 1000:.0f} ms of rest" if rest else "at once"
                    print(
                        f"{scheme} {way:5} {pace:14} {frames} frames of {options.size:,} bytes: "
                        f"producer {sender:5.1f}, consumer {reader:5.1f} frames",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
