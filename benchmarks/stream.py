"""Producer to Consumer against hand-written pyzmq, a Unix socket and memcpy, interleaved, in separate processes.

    python benchmarks/stream.py [--sizes 1024 1000000] [--rounds 7] [--transports ipc tcp] [--json FILE]

Each contestant streams arrays of one size to a reader that checks dtype, shape and three elements of each array, and
every element of the last one. Rates are taken at the reader, after a tenth of the messages. The table gives medians
over the rounds, with the range, and the ratio to two bare ones, which lend their arrays from 64 KB on (copy=False) and
would have to wait before they change them; the third copies, as send() does. In a round everyone has one turn.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
from arguments import Parser
from streaming import (
    COPY_BELOW,
    Expected,
    Table,
    array_of,
    copies_per_second,
    figure_from,
    free_port,
    header_of,
    read_socket,
    ready,
    started,
    write_socket,
)

import nptransport as npt

BYTES = 1_500_000_000  # of one turn, for large arrays
MESSAGES = 100_000  # of one turn, for small ones


# The readers: an iterator of arrays each


def read_multipart(address: str, size: int) -> Iterator[np.ndarray]:
    with zmq.Context() as context, context.socket(zmq.PULL) as puller:
        puller.bind(address)
        ready()
        copy = size < COPY_BELOW
        while True:
            _, part = puller.recv_multipart(copy=copy)
            yield np.frombuffer(part, np.uint8).reshape(size)


def read_parts(address: str, size: int) -> Iterator[np.ndarray]:
    with zmq.Context() as context, context.socket(zmq.PULL) as puller:
        puller.bind(address)
        ready()
        copy = size < COPY_BELOW
        while True:
            puller.recv()
            yield np.frombuffer(puller.recv(copy=copy), np.uint8).reshape(size)


def read_ours(address: str, size: int) -> Iterator[np.ndarray]:
    with npt.Consumer(bind=address) as consumer:
        ready()
        yield from consumer


# The writers


def write_multipart(address: str, size: int, count: int) -> None:
    array, header = array_of(size), header_of(size)
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.connect(address)
        for _ in range(count):
            pusher.send_multipart([header, array], copy=size < COPY_BELOW)


def write_copied(address: str, size: int, count: int) -> None:
    """As safe as our send(): on return the array may be changed."""
    array, header = array_of(size), header_of(size)
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.connect(address)
        for _ in range(count):
            pusher.send_multipart([header, array], copy=True)


def write_parts(address: str, size: int, count: int) -> None:
    array, header = array_of(size), header_of(size)
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.connect(address)
        for _ in range(count):
            pusher.send(header, zmq.SNDMORE)
            pusher.send(array, copy=size < COPY_BELOW)


def write_ours(address: str, size: int, count: int) -> None:
    array = array_of(size)
    with npt.Producer(connect=address) as producer:
        for _ in range(count):
            producer.send(array)


def write_lent(address: str, size: int, count: int) -> None:
    array = array_of(size)
    with npt.Producer(connect=address) as producer:
        for _ in range(count):
            producer.send(array, copy=False)


CONTESTANTS: dict[str, tuple[Callable[..., Iterator[np.ndarray]], Callable[..., None]]] = {
    "bare, send_multipart": (read_multipart, write_multipart),
    "bare, part by part": (read_parts, write_parts),
    "bare, copy=True": (read_multipart, write_copied),
    "send()": (read_ours, write_ours),
    "send(copy=False)": (read_ours, write_lent),
    "unix socket": (read_socket, write_socket),
}


def reader(name: str, address: str, size: int, count: int) -> None:
    arrays, expected = CONTESTANTS[name][0](address, size), Expected(size)
    for index in range(count):
        array = next(arrays)
        expected.look(array)
        if index == count // 10:
            start = time.perf_counter()
    seconds = time.perf_counter() - start
    expected.compare(array)
    print((count - count // 10 - 1) / seconds, flush=True)


def turn(name: str, transport: str, size: int, count: int) -> float:
    """Messages a second."""
    with tempfile.TemporaryDirectory() as folder:
        address = (
            f"ipc://{folder}/s" if transport == "ipc" or name == "unix socket" else f"tcp://127.0.0.1:{free_port()}"
        )
        arguments = [name, address, str(size), str(count)]
        reading = started("read", *arguments)
        writing = subprocess.Popen([sys.executable, __file__, "write", *arguments])
        try:
            return figure_from(reading, name)
        finally:
            writing.kill()  # it would wait for a reader that failed
            writing.wait()


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 65_536, 1_000_000, 8_000_000, 32_000_000])
    parser.add_argument("--transports", nargs="+", default=["ipc", "tcp"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    bare = list(CONTESTANTS)[:2]
    table = Table(options.rounds, against=dict(zip(bare, ("send_multipart", "part by part"), strict=True)))
    for transport in options.transports:
        for size in options.sizes:
            count = max(30, min(MESSAGES, BYTES // size))
            rates: dict[str, list[float]] = {name: [] for name in [*CONTESTANTS, "memcpy"]}
            for _ in range(options.rounds):
                for name in CONTESTANTS:
                    rates[name].append(turn(name, transport, size, count))
                rates["memcpy"].append(copies_per_second(size))
            table.add(transport, size, count, rates)
    if options.json:
        table.save(options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        reader(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1:2] == ["write"]:
        CONTESTANTS[sys.argv[2]][1](sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
