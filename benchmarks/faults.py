"""Page faults: what large arrays cost a receiver whose malloc gives memory back, and one whose malloc keeps it.

    python benchmarks/faults.py [--size 128000000] [--arrays 12] [--rounds 3]

Over ipc, a reader and a writer each in a process of its own: bare pyzmq with copy=False, the same with a malloc that
was told to keep its memory (docs/performance.md, "Settings of malloc"), and Producer and Consumer. The reader checks
dtype, shape and three elements of each array, and every element of the last. Then np.copyto into pages that were never
touched, and into warm ones. Arrays and GB a second, and page faults per array at the reader, after the first third;
medians of the rounds, in which everyone has one turn.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
from arguments import Parser, count, status_of
from stream import read_ours, write_ours
from streaming import Expected, array_of, check, ready

# Of malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_memory() -> None:
    """As docs/performance.md has it for programs."""
    libc = ctypes.CDLL(None)
    for setting, value in ((M_MMAP_THRESHOLD, 2**30), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
        if not libc.mallopt(setting, value):
            raise SystemExit("this malloc cannot be told: glibc is needed")


def read_bare(address: str, size: int) -> Iterator[np.ndarray]:
    with zmq.Context() as context, context.socket(zmq.PULL) as puller:
        puller.bind(address)
        ready()
        while True:
            yield np.frombuffer(puller.recv(copy=False), np.uint8).reshape(size)


def read_keeping(address: str, size: int) -> Iterator[np.ndarray]:
    keep_memory()
    yield from read_bare(address, size)


def write_bare(address: str, size: int, arrays: int) -> None:
    array = array_of(size)
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.connect(address)
        for _ in range(arrays):
            pusher.send(array, copy=False)


def faults() -> int:
    """Of this process so far, without reading from a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def read(arrays: Iterator[np.ndarray], size: int, number: int) -> None:
    expected = Expected(size)
    for index in range(number):
        array = next(arrays)
        expected.look(array)
        if index == number // 3:
            start, before = time.perf_counter(), faults()
        if index < number - 1:
            del array  # held, it would be one more that has to find room
    seconds, found = time.perf_counter() - start, faults() - before
    expected.compare(array)
    counted = number - 1 - number // 3
    print(counted / seconds, found / counted, flush=True)


def copy(size: int, number: int, *, warm: bool) -> None:
    source = array_of(size)
    seconds, found = 0.0, 0
    memory = mmap.mmap(-1, size)
    if warm:
        np.frombuffer(memory, np.uint8)[:] = 0
    for _ in range(number):
        target = np.frombuffer(memory if warm else mmap.mmap(-1, size), np.uint8)
        start, before = time.perf_counter(), faults()
        np.copyto(target, source)
        seconds += time.perf_counter() - start
        found += faults() - before
    check(target, source)
    print(number / seconds, found / number, flush=True)


Reader, Writer = Callable[[str, int], Iterator[np.ndarray]], Callable[[str, int, int], None]
STREAMS: dict[str, tuple[Reader, Writer]] = {
    "bare pyzmq": (read_bare, write_bare),
    "bare pyzmq, malloc keeps": (read_keeping, write_bare),
    "Producer and Consumer": (read_ours, write_ours),
}
COPIES = {"np.copyto, fresh pages": False, "np.copyto, warm pages": True}


def turn(name: str, size: int, arrays: int) -> tuple[float, float]:
    """Arrays a second, and page faults per array."""
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        how = [name, f"ipc://{folder}/s", str(size), str(arrays)]
        command = [sys.executable, __file__, "--role"]
        reading = subprocess.Popen([*command, "read", *how], stdout=subprocess.PIPE, text=True)
        assert reading.stdout is not None
        writing = None
        try:
            if name in STREAMS and reading.stdout.readline():
                writing = subprocess.Popen([*command, "write", *how])
            figures = reading.stdout.readline().split()
            if reading.wait() or not figures:
                raise SystemExit(f"failed: {name}")
        finally:
            for process in filter(None, (reading, writing)):
                process.kill()
                process.wait()
    rate, found = map(float, figures)
    return rate, found


def run_role(role: str, name: str, address: str, size: int, arrays: int) -> None:
    if name in COPIES:
        copy(size, arrays, warm=COPIES[name])
    elif role == "read":
        read(STREAMS[name][0](address, size), size, arrays)
    else:
        STREAMS[name][1](address, size, arrays)


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--size", type=count, default=128_000_000, help="bytes of an array")
    parser.add_argument("--arrays", type=count, default=12, help="of each turn (at least 3)")
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--role", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role, name, address, size, arrays = options.role
        run_role(role, name, address, int(size), int(arrays))
        return 0
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in (*STREAMS, *COPIES)}
    for _ in range(options.rounds):
        for name, found in turns.items():
            found.append(turn(name, options.size, max(3, options.arrays)))
    print(f"{options.size:,} bytes, {options.rounds} rounds")
    for name, found in turns.items():
        rate, pages = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"{name:26} {rate:9,.1f} /s  {rate * options.size / 1e9:6.2f} GB/s  {pages:9,.0f} page faults per array")
    return 0


if __name__ == "__main__":
    sys.exit(status_of(main))
