"""Two commits beside each other: ratios of their speed, from one run in which they take turns.

    python benchmarks/compare.py main HEAD [--rounds 7] [--tolerance 0.9] [--only stream]

Each is checked out into a temporary folder, and this file measures both: encode and decode of a small and of a large
array, arrays a second from a Producer to a Consumer over ipc, and calls a second from a Client to a Server. A figure is
the median of the rounds' ratios, second commit to first, so that what else the machine does counts for both. Exit
status: 1 if one of them is below the tolerance, 2 if a commit cannot be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 0.3  # of one measurement
BATCH = 0.01  # seconds, at least

Rate = Callable[[], float]


class Ratio(NamedTuple):
    """Of second to first: median of the rounds, and the middle half of them."""

    median: float
    low: float
    high: float


def ratio(pairs: list[tuple[float, float]]) -> Ratio:
    """From the rates of both in each round; higher than 1 is faster."""
    each = sorted(second / first for first, second in pairs)
    quarter = len(each) // 4
    return Ratio(statistics.median(each), each[quarter], each[-1 - quarter])


def worse(ratios: dict[str, Ratio], tolerance: float) -> list[str]:
    return [name for name, found in ratios.items() if found.median < tolerance]


# What is measured, in a process that imports the commit's nptransport


def batches(work: Callable[[], object]) -> tuple[int, list[float]]:
    """Runs in each batch, and the seconds that each took."""
    count, taken = 1, 0.0
    while taken < BATCH:  # also what warms it up
        count *= 2
        taken = seconds(work, count)
    found = [taken]
    while sum(found) < SECONDS:
        found.append(seconds(work, count))
    return count, found


def seconds(work: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - started


def steady(work: Callable[[], object]) -> float:
    """Runs a second in the middle one of the batches: what interrupts a few of them does not count."""
    count, found = batches(work)
    return count / statistics.median(found)


def throughput(work: Callable[[], object]) -> float:
    """Runs a second over all: for what comes in bursts."""
    count, found = batches(work)
    return count * len(found) / sum(found)


def encode(shape: tuple[int, ...]) -> float:
    import nptransport as npt

    array = np.zeros(shape, np.float32)
    return steady(lambda: npt.encode(array))


def decode(shape: tuple[int, ...]) -> float:
    import nptransport as npt

    frames = npt.encode(np.zeros(shape, np.float32))
    return steady(lambda: npt.decode(frames))


def stream(size: int) -> float:
    """Sent by a process of its own, for a while longer than it is measured here."""
    import nptransport as npt

    with tempfile.TemporaryDirectory() as folder, npt.Consumer(bind=f"ipc://{folder}/s") as consumer:
        sender = subprocess.Popen([sys.executable, __file__, "--send", f"ipc://{folder}/s", str(size)])
        try:
            for _ in range(8):
                consumer.recv(timeout=60)
            expected = np.full(size, 7, np.uint8)
            if not np.array_equal(consumer.recv(timeout=60), expected):
                raise ValueError("what arrived is not what was sent")
            return throughput(lambda: consumer.recv(timeout=60))
        finally:
            sender.kill()
            sender.wait()


def send(address: str, size: int) -> None:
    """Until it is killed."""
    import nptransport as npt

    array = np.full(size, 7, np.uint8)
    with npt.Producer(connect=address) as producer:
        while True:
            producer.send(array)


def call() -> float:
    import nptransport as npt

    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/s"
        server = subprocess.Popen([sys.executable, __file__, "--serve", address])
        try:
            with npt.Client(connect=address) as client:
                array = np.zeros(128)
                client.call("echo", array, timeout=60)
                return steady(lambda: client.call("echo", array, timeout=60))
        finally:
            server.kill()
            server.wait()


def serve(address: str) -> None:
    """Until it is killed."""
    import nptransport as npt

    with npt.Server(bind=address) as server:
        server.register("echo", lambda array: array)
        server.serve()


MEASUREMENTS: dict[str, Rate] = {
    "encode, 1 KB": lambda: encode((256,)),
    "encode, 8 MB": lambda: encode((2000, 1000)),
    "decode, 1 KB": lambda: decode((256,)),
    "decode, 8 MB": lambda: decode((2000, 1000)),
    "stream, 1 KB": lambda: stream(1024),
    "stream, 64 KB": lambda: stream(65_536),
    "stream, 1 MB": lambda: stream(1_000_000),
    "stream, 8 MB": lambda: stream(8_000_000),
    "call, 1 KB": call,
}


def measure(name: str) -> None:
    import nptransport

    print(Path(nptransport.__file__).resolve().parents[1])
    print(MEASUREMENTS[name]())


# The run


class CannotMeasure(Exception):
    """A commit that does not exist, or a measurement that fails on one."""


@contextlib.contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    git = ["git", "-C", str(ROOT), "worktree"]
    made = subprocess.run([*git, "add", "--detach", "--quiet", str(folder), commit], capture_output=True, text=True)
    if made.returncode:
        raise CannotMeasure(f"{commit}: {made.stderr.strip()}")
    try:
        yield folder.resolve()
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def rate_of(name: str, checkout: Path) -> float:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    command = [sys.executable, __file__, "--measure", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    if done.returncode:
        raise CannotMeasure(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    imported, rate = done.stdout.splitlines()
    if Path(imported) != checkout:
        raise CannotMeasure(f"{name}: nptransport came from {imported} and not from {checkout}")
    return float(rate)


def run(first: str, second: str, names: list[str], rounds: int) -> dict[str, Ratio]:
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        checkouts = [
            stack.enter_context(checked_out(commit, Path(folder) / side))
            for side, commit in (("first", first), ("second", second))
        ]
        for number in range(rounds):
            for name in names:
                turns = checkouts if number % 2 else checkouts[::-1]  # neither is always the second
                rates = {checkout: rate_of(name, checkout) for checkout in turns}
                pairs[name].append((rates[checkouts[0]], rates[checkouts[1]]))
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    for name, each in pairs.items():
        medians = (statistics.median(rates) for rates in zip(*each, strict=True))
        found = ratio(each)
        print(
            f"{name:16}"
            + "".join(f"{median:14,.0f}/s" for median in medians)
            + f"   x{found.median:.2f}  [{found.low:.2f} to {found.high:.2f}]"
        )
    return {name: ratio(each) for name, each in pairs.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="the first, and the one that is compared with it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tolerance", type=float, default=0.9, help="of a ratio's median (default: 0.9)")
    parser.add_argument("--only", default="", help="what the measurements' names begin with")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--send", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    elif options.send:
        send(options.send[0], int(options.send[1]))
    elif options.serve:
        serve(options.serve)
    elif len(options.commits) != 2:
        parser.error("two commits are needed")
    else:
        names = [name for name in MEASUREMENTS if name.startswith(options.only)]
        try:
            slower = worse(run(*options.commits, names, options.rounds), options.tolerance)
        except CannotMeasure as error:
            print(error, file=sys.stderr)
            return 2
        if slower:
            print(f"below {options.tolerance}: {', '.join(slower)}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
