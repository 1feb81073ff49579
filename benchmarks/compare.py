"""Two commits beside each other: ratios of their speed, from one run in which they take turns.

    python benchmarks/compare.py main HEAD [--rounds 7] [--tolerance 0.9] [--only shm]

Each is checked out into a temporary folder, and this file measures both: encode and decode of a small and of a large
array, arrays a second from a Producer to a Consumer over ipc ("stream"; "lent" with copy=False), tcp and shm, and as
loans, from a Publisher to a Subscriber, and calls a second from a Client to a Server. dtype and shape of each array are
checked, and every element of the last. A figure is the median of the rounds' ratios, second commit to first, so that
what else the machine does counts for both. Some five minutes. Exit status: 1 if one of them is below the tolerance, 2
if a commit cannot be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from arguments import Parser, count, positive, status_of
from streaming import WrongContent, array_of, check, free_port

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 0.3  # of one measurement
BATCH = 0.01  # seconds, at least
PATIENCE = 60.0  # seconds for a message
LONGEST = 180  # seconds of one measurement

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


class Checked:
    """Calls what returns arrays, and looks at dtype and shape of each; ``compare`` at every element of the last."""

    def __init__(self, receive: Callable[[], Any], expected: np.ndarray) -> None:
        self._receive, self._expected = receive, expected
        self._kind = expected.dtype, expected.shape
        self._last: Any = None

    def __call__(self) -> None:
        self._last = self._receive()
        if (self._last.dtype, self._last.shape) != self._kind:
            raise WrongContent(f"{self._last.dtype} {self._last.shape} arrived")

    def compare(self) -> None:
        check(self._last, self._expected)


@contextlib.contextmanager
def beside(role: str, *arguments: object) -> Iterator[None]:
    """Another process of this file, until it is killed."""
    process = subprocess.Popen([sys.executable, __file__, role, *map(str, arguments)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def stream(size: int, scheme: str = "ipc", way: str = "send") -> float:
    """Sent by a process of its own, for a while longer than it is measured here."""
    import nptransport as npt

    with tempfile.TemporaryDirectory() as folder:
        address = f"tcp://127.0.0.1:{free_port()}" if scheme == "tcp" else f"{scheme}://{folder}/s"
        publishes = way == "publish"
        reader = npt.Subscriber(connect=address) if publishes else npt.Consumer(bind=address)
        receive = Checked(lambda: reader.recv(timeout=PATIENCE), array_of(size))
        with reader, beside("--send", address, size, way):
            for _ in range(8):
                receive()
            rate = throughput(receive)
            receive.compare()
            return rate


def send(address: str, size: int, way: str) -> None:
    """Until it is killed."""
    import nptransport as npt

    array = array_of(size)
    if way == "publish":
        with npt.Publisher(bind=address) as publisher:
            while True:
                publisher.send(array)
    with npt.Producer(connect=address) as producer:
        while way == "send":
            producer.send(array)
        while way == "lent":
            producer.send(array, copy=False)
        while way == "loan":
            with producer.loan(size, np.uint8) as loan:
                loan[:] = array


def call() -> float:
    import nptransport as npt

    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/s"
        with beside("--serve", address), npt.Client(connect=address) as client:
            array = np.arange(128.0)
            receive = Checked(lambda: client.call("echo", array, timeout=PATIENCE), array)
            receive()
            rate = steady(receive)
            receive.compare()
            return rate


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
    "lent, 1 MB": lambda: stream(1_000_000, way="lent"),
    "tcp, 1 MB": lambda: stream(1_000_000, "tcp"),
    "shm, 1 KB": lambda: stream(1024, "shm"),
    "shm, 1 MB": lambda: stream(1_000_000, "shm"),
    "loan, 64 KB": lambda: stream(65_536, "shm", "loan"),
    "publish, 1 KB": lambda: stream(1024, way="publish"),
    "publish, 1 MB": lambda: stream(1_000_000, way="publish"),
    "call, 1 KB": call,
}


def measure(name: str) -> None:
    import nptransport

    print(Path(nptransport.__file__).resolve().parents[1])
    print(MEASUREMENTS[name]())


# The run


class CannotMeasure(Exception):
    """A commit that does not exist, or a measurement that fails on one."""


def git(*arguments: str) -> str:
    """What it prints. Raises CannotMeasure."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotMeasure("git is not installed") from None
    if done.returncode:
        raise CannotMeasure(last_line(done.stderr))
    return done.stdout


def last_line(text: str) -> str:
    return (text.strip() or "it ended without a word").splitlines()[-1]


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals come afterwards: a git that is broken off leaves a worktree that is locked."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The folder is gone afterwards, whatever ends this."""
    try:
        try:
            with undisturbed():
                git("worktree", "add", "--detach", "--quiet", str(folder), commit)
        except CannotMeasure as error:
            raise CannotMeasure(f"{commit}: {error}") from None
        yield folder.resolve()
    finally:
        with undisturbed(), contextlib.suppress(CannotMeasure):
            git("worktree", "remove", "--force", str(folder))


def rate_of(name: str, checkout: Path) -> float:
    """In a process group of its own, of which nothing is left afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
    command = [sys.executable, __file__, "--measure", name]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=os.name == "posix"
    )
    try:
        printed, complaint = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{name}: not done within {LONGEST} seconds") from None
    finally:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    if process.returncode:
        raise CannotMeasure(f"{name}: {last_line(complaint)}")
    imported, rate = printed.splitlines()
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


def terminated(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="the first, and the one that is compared with it")
    parser.add_argument("--rounds", type=count, default=7)
    parser.add_argument("--tolerance", type=positive, default=0.9, help="of a ratio's median (default: 0.9)")
    parser.add_argument("--only", default="", metavar="NAME", help=f"what begins so: {'; '.join(MEASUREMENTS)}")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--send", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    elif options.send:
        address, size, way = options.send
        send(address, int(size), way)
    elif options.serve:
        serve(options.serve)
    else:
        return compare(parser, options)
    return 0


def compare(parser: Parser, options: argparse.Namespace) -> int:
    if len(options.commits) != 2:
        parser.error("two commits are needed")
    names = [name for name in MEASUREMENTS if name.startswith(options.only)]
    if not names:
        parser.error(f"--only {options.only}: there are {'; '.join(MEASUREMENTS)}")
    signal.signal(signal.SIGTERM, terminated)
    try:
        if git("status", "--porcelain"):
            print("what is not committed is not measured", file=sys.stderr)
        slower = worse(run(*options.commits, names, options.rounds), options.tolerance)
    except CannotMeasure as error:
        print(error, file=sys.stderr)
        return 2
    if slower:
        print(f"below {options.tolerance}: {', '.join(slower)}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(status_of(main))
