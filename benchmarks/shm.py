"""shm:// against np.copyto between warm buffers, a Unix socket and our own ipc://, interleaved in one run.

    python benchmarks/shm.py [--sizes 1024 1000000 8000000 32000000] [--loans 65536 128000000] [--rounds 5]

Each contestant streams arrays of one size to another process, which reads every element (their maximum), checks dtype
and shape, and compares all of the last one. Rates are taken at the reader, after a tenth of the messages. The table
gives medians over the rounds and the ratios within them; then messages a second of loans, in which nobody writes or
reads more than the first byte, which is their number.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import repository  # noqa: F401 - for what is imported below
from arguments import Parser
from stream import read_ours, write_ours
from streaming import (
    Expected,
    WrongContent,
    array_of,
    copies_per_second,
    figure_from,
    read_socket,
    started,
    write_socket,
)

import nptransport as npt

BYTES = 2_000_000_000
MOST = 20_000


def write_loans(address: str, size: int, count: int) -> None:
    with npt.Producer(connect=address, max_bytes=4 * max(size, 2**26)) as producer:
        for number in range(count):
            with producer.loan(size, np.uint8) as array:
                array[0] = number % 256


READERS = {"shm": read_ours, "ipc": read_ours, "socket": read_socket, "loan": read_ours}
WRITERS = {"shm": write_ours, "ipc": write_ours, "socket": write_socket, "loan": write_loans}


def read(name: str, address: str, size: int, count: int) -> None:
    start, expected, most = 0.0, Expected(size), array_of(size).max()
    for number, array in enumerate(READERS[name](address, size)):
        if name == "loan":
            if array.dtype != np.uint8 or array.shape != (size,) or array[0] != number % 256:
                raise WrongContent(f"loan {number}: {array.dtype} {array.shape} that begins with {array[0]}")
        else:
            expected.look(array)
            if array.max() != most:
                raise WrongContent(f"array {number}: its maximum is wrong")
        if number == count // 10:
            start = time.perf_counter()
        if number == count - 1:
            break
    seconds = time.perf_counter() - start
    if name != "loan":
        expected.compare(array)
    print((count - 1 - count // 10) / seconds, flush=True)


def run(name: str, address: str, size: int, count: int) -> float:
    arguments = [name, address, str(size), str(count)]
    reader = started("--role", "read", *arguments)
    writer = subprocess.Popen([sys.executable, __file__, "--role", "write", *arguments])
    try:
        return figure_from(reader, name)
    finally:
        writer.kill()  # it would wait for a reader that failed
        writer.wait()


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1024, 1_000_000, 8_000_000, 32_000_000])
    parser.add_argument("--loans", type=int, nargs="*", default=[65_536, 128_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--role", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role, name, address, size, count = options.role
        if role == "read":
            read(name, address, int(size), int(count))
        else:
            WRITERS[name](address, int(size), int(count))
        return
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        numbers = iter(range(10**6))

        def address(name: str) -> str:
            return f"{'ipc' if name == 'ipc' else 'shm'}://{folder}/{next(numbers)}"

        for size in options.sizes:
            rates: dict[str, list[float]] = {name: [] for name in ("copyto", "shm", "ipc", "socket")}
            for _ in range(options.rounds):
                for name, turns in rates.items():
                    count = max(60, min(MOST, BYTES // (1 if name == "shm" else 4) // size))
                    turns.append(copies_per_second(size) if name == "copyto" else run(name, address(name), size, count))
            middle = {name: statistics.median(turns) for name, turns in rates.items()}
            ratios = {
                name: statistics.median(ours / other for ours, other in zip(rates["shm"], rates[name], strict=True))
                for name in ("copyto", "ipc", "socket")
            }
            print(
                f"{size:>11,} bytes: "
                + "  ".join(f"{name} {rate:,.0f}/s ({rate * size / 1e9:.2f} GB/s)" for name, rate in middle.items())
                + "  shm to "
                + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()),
                flush=True,
            )
        loans: dict[int, list[float]] = {size: [] for size in options.loans}
        for _ in range(options.rounds):
            for size, turns in loans.items():
                turns.append(run("loan", address("loan"), size, 5000))
        for size, turns in loans.items():
            print(f"{size:>11,} bytes lent: {statistics.median(turns):,.0f}/s")


if __name__ == "__main__":
    main()
