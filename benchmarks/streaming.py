"""What stream.py, pubsub.py and shm.py share: the arrays, the limits of the machine, and the table."""

from __future__ import annotations

import json
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "COPY_BELOW",
    "VALUE",
    "Table",
    "array_of",
    "copies_per_second",
    "free_port",
    "header_of",
    "read_socket",
    "ready",
    "write_socket",
]

VALUE = 7
COPY_BELOW = 64 * 1024  # bytes: where the bare ones change to copy=False


def array_of(size: int) -> np.ndarray:
    return np.full(size, VALUE, np.uint8)


def header_of(size: int) -> bytes:
    """What the bare ones send along."""
    return json.dumps({"dtype": "|u1", "shape": [size]}).encode()


def ready() -> None:
    """Tell the parent process that the other side may begin."""
    print("ready", flush=True)


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
