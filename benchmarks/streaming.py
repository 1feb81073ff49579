"""What the scripts that stream share: the arrays and how they are checked, the limits of the machine, and the table."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "COPY_BELOW",
    "Expected",
    "Table",
    "WrongContent",
    "array_of",
    "check",
    "copies_per_second",
    "figure_from",
    "free_port",
    "header_of",
    "read_socket",
    "ready",
    "started",
    "write_socket",
]

ODD = 0x9E37_79B9_7F4A_7C15  # multiples of it differ in all of their bytes
COPY_BELOW = 64 * 1024  # bytes: where the bare ones change to copy=False


class WrongContent(Exception):
    """What arrived is not what was sent."""


def array_of(size: int) -> np.ndarray:
    """No eight bytes of it in a row are those of another place, so that it matters in which order they arrive."""
    words = np.arange(1, size // 8 + 2, dtype=np.uint64) * np.uint64(ODD)
    return words.view(np.uint8)[:size]


def check(array: object, expected: np.ndarray) -> None:
    """dtype, shape and every element. Raises WrongContent."""
    if not isinstance(array, np.ndarray) or (array.dtype, array.shape) != (expected.dtype, expected.shape):
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise WrongContent(f"expected {expected.dtype} {expected.shape}, found {found}")
    if not np.array_equal(array, expected):
        raise WrongContent(f"{np.count_nonzero(array != expected)} of {array.size} elements differ")


class Expected:
    """What a reader has to receive again and again: ``array_of`` one size."""

    def __init__(self, size: int) -> None:
        self._array = array_of(size)
        self._shape, self._middle = (size,), size // 2
        self._few = self._few_of(self._array)

    def _few_of(self, array: np.ndarray) -> tuple[int, int, int]:
        return array[0], array[self._middle], array[-1]

    def look(self, array: np.ndarray) -> None:
        """dtype, shape and three elements, which takes next to no time. Raises WrongContent."""
        if array.dtype != np.uint8 or array.shape != self._shape or self._few_of(array) != self._few:
            self.compare(array)

    def compare(self, array: np.ndarray) -> None:
        """Every element: outside of what is timed. Raises WrongContent."""
        check(array, self._array)


def header_of(size: int) -> bytes:
    """What the bare ones send along."""
    return json.dumps({"dtype": "|u1", "shape": [size]}).encode()


def ready() -> None:
    """Tell the parent process that the other side may begin."""
    print("ready", flush=True)


def started(*arguments: object) -> subprocess.Popen[str]:
    """A process of the script that runs, once it has told that it is ready."""
    command = [sys.executable, sys.argv[0], *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise SystemExit(f"failed: {' '.join(command)}")
    return process


def figure_from(process: subprocess.Popen[str], name: str) -> float:
    """What a process prints at its end. Raises SystemExit where it failed; it has said why."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if process.wait() or not line:
        raise SystemExit(f"failed: {name}")
    return float(line)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What the machine itself can do


def read_socket(address: str, size: int) -> Iterator[np.ndarray]:
    """Into warm memory, which no other contestant has: what the system itself can carry."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address.partition("://")[2])
        listener.listen()
        ready()
        connection, _ = listener.accept()
        array = np.empty(size, np.uint8)
        view = memoryview(array)
        with connection:
            while True:
                at = 0
                while at < size:
                    at += connection.recv_into(view[at:])
                yield array


def write_socket(address: str, size: int, count: int) -> None:
    array = array_of(size)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address.partition("://")[2])
        for _ in range(count):
            connection.sendall(array)


def copies_per_second(size: int) -> float:
    """Arrays that one core copies between warm buffers."""
    source, target = array_of(size), np.empty(size, np.uint8)
    count = max(20, 500_000_000 // size)
    np.copyto(target, source)
    start = time.perf_counter()
    for _ in range(count):
        np.copyto(target, source)
    return count / (time.perf_counter() - start)


class Table:
    """The figures of a run: printed as they come, kept for ``--json``."""

    def __init__(self, rounds: int, against: dict[str, str]) -> None:
        """``against``: the contestants that all are compared with, and what to call them."""
        self._rounds, self._against = rounds, against
        self._figures: list[dict[str, Any]] = []

    def add(self, transport: str, size: int, count: int, rates: dict[str, list[float]]) -> None:
        """Messages a second of each contestant, a round each."""
        medians = {name: statistics.median(measured) for name, measured in rates.items()}
        width = max(map(len, rates))
        print(f"\n{transport}, {size:,} bytes, {count} messages, {self._rounds} rounds")
        for name, measured in rates.items():
            median = medians[name]
            ratios = " ".join(f"{median / medians[other]:6.2f} of {called}" for other, called in self._against.items())
            print(
                f"  {name:{width}} {median:11,.0f} /s  {median * size / 1e9:7.2f} GB/s  {ratios}   "
                f"[{min(measured):,.0f} to {max(measured):,.0f}]",
                flush=True,
            )
            self._figures.append({"transport": transport, "size": size, "name": name, "rates": measured})

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._figures, indent=1))
