"""Instructions that encode, send, recv and others take for an array of 1 KB, or lent: repeatable where times are not.

    python benchmarks/instructions.py [--update] [--only encode] [--runs 3]

valgrind's callgrind counts what the calling thread executes within the loop, and nothing of the start-up or of ZeroMQ's
threads. Each process runs the loop in slices, of which the one with the fewest counts: waiting and looking again only
ever add. Its clocks go by how often they are looked at, so that what is due once in a while is due as often on a busy
machine. The figure is the median of the runs. It is held against benchmarks/instructions.json, each within its
tolerance, where Python, NumPy, pyzmq, msgpack and the kind of processor are those that it was written with; else it is
printed, and not judged.

`--update` writes the file, for a change that is meant: the median, with a tolerance of 3 %, or of twice the spread of
the runs where that is more. Where it is more than 8 %, the count is printed, and not kept: so it is with Client.call,
which takes more the later the server's thread answers.

Exit status: 1 if something takes more than is allowed, 2 without valgrind. Some five minutes with two cores.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from argparse import SUPPRESS
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgpack
import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
from arguments import Parser, count, status_of

import nptransport as npt

KEPT = Path(__file__).with_suffix(".json")
SLICES, WARM_SLICES = 20, 6  # the interpreter has specialised what it runs by then
CALLS = 40  # of a slice: what comes once in a while falls into each
TOLERANCE = 0.03
LOOSEST = 0.08  # beyond that a count would tell nothing, and is not kept
FIXED = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}  # its idle threads spin for as long as they get to
TICK = 20e-6  # seconds from one look at the clock to the next
PATIENCE = 60.0  # seconds
LONGEST = 600  # seconds of a process under valgrind

ARRAY = np.arange(256, dtype=np.float32).reshape(16, 16)  # 1 KB
LENT = 2**16  # bytes of what is lent, which has to lie in shared memory

Work = Callable[[], object]


class Loop(NamedTuple):
    """``work`` is counted; the others are called as often, before and after a slice."""

    work: Work
    before: Work | None = None
    after: Work | None = None


def encode() -> Loop:
    return Loop(lambda: npt.encode(ARRAY))


def decode() -> Loop:
    frames = npt.encode(ARRAY)
    return Loop(lambda: npt.decode(frames))


def dumps() -> Loop:
    return Loop(lambda: npt.dumps(ARRAY))


def loads() -> Loop:
    blob = npt.dumps(ARRAY)
    return Loop(lambda: npt.loads(blob))


def stream() -> tuple[Work, Work]:
    """Over inproc://, where what was sent is there at once."""
    consumer = npt.Consumer(bind="inproc://counted")
    producer = npt.Producer(connect="inproc://counted")
    return lambda: producer.send(ARRAY), lambda: consumer.recv(timeout=PATIENCE)


def send() -> Loop:
    sending, receiving = stream()
    return Loop(sending, after=receiving)


def recv() -> Loop:
    sending, receiving = stream()
    return Loop(receiving, before=sending)


def publish() -> Loop:
    publisher = npt.Publisher(bind="inproc://counted")
    subscriber = npt.Subscriber(connect="inproc://counted")
    publisher.wait_for_subscribers(timeout=PATIENCE)

    def both() -> None:
        publisher.send(ARRAY)
        subscriber.recv(timeout=PATIENCE)

    return Loop(both)


def loan() -> Loop:
    address = f"shm://{os.environ['NPT_FOLDER']}/counted"
    consumer, producer = npt.Consumer(bind=address), npt.Producer(connect=address)

    def both() -> None:
        with producer.loan((LENT,), np.uint8) as array:
            array[0] = 1
        consumer.recv(timeout=PATIENCE)

    return Loop(both)


def call() -> Loop:
    """The client's thread only."""
    server = npt.Server(bind="tcp://127.0.0.1:0")
    server.register("echo", lambda array: array)
    threading.Thread(target=server.serve, daemon=True).start()
    client = npt.Client(connect=server.address)
    return Loop(lambda: client.call("echo", ARRAY, timeout=PATIENCE))


LOOPS: dict[str, Callable[[], Loop]] = {
    "encode": encode,
    "decode": decode,
    "dumps": dumps,
    "loads": loads,
    "Producer.send": send,
    "Consumer.recv": recv,
    "Publisher.send + Subscriber.recv": publish,
    "Producer.loan + Consumer.recv": loan,
    "Client.call": call,
}


# In a process under valgrind


class Clock:
    """For what is done once in so much time: as often on a busy machine, and under valgrind, as elsewhere."""

    def __init__(self) -> None:
        self._seconds = 1000.0

    def __call__(self) -> float:
        self._seconds += TICK
        return self._seconds


def run_slices(name: str) -> None:
    gc.disable()
    time.time = time.monotonic = time.perf_counter = Clock()
    loop = LOOPS[name]()
    done = 0

    def work() -> None:
        nonlocal done
        repeat(loop.work)
        done += 1

    # A call of a C function that calls back goes through libffi's ffi_call, where the counting begins and ends.
    counted = ctypes.CFUNCTYPE(None)(work)
    for _ in range(SLICES):
        repeat(loop.before)
        counted()
        repeat(loop.after)
    sys.stdout.flush()
    os._exit(done != SLICES)  # an exception within is printed, and passed on by nobody; threads need not end


def repeat(work: Work | None) -> None:
    if work:
        for _ in range(CALLS):
            work()


# The run


class CannotCount(Exception):
    """The loop failed, or valgrind found nothing to count."""


def instructions_of(name: str) -> int:
    """Of one call, in the slice with the fewest."""
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        command = ["valgrind", "--tool=callgrind", "--dump-line=no", f"--callgrind-out-file={folder}/slice"]
        command += ["--toggle-collect=ffi_call", "--dump-after=ffi_call", sys.executable, __file__, "--loop", name]
        environment = {**os.environ, **FIXED, "NPT_FOLDER": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)
        files = sorted(Path(folder).glob("slice.*"), key=lambda file: int(file.suffix[1:]))
        found = [re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE) for file in files]
    slices = [int(each[1]) // CALLS for each in found[-SLICES:] if each]
    if done.returncode or len(slices) < SLICES:
        raise CannotCount(f"{name}: {(done.stderr.strip() or 'nothing was counted').splitlines()[-1]}")
    return min(slices[WARM_SLICES:])


def counted(names: list[str], repeats: int) -> dict[str, list[int]]:
    """Instructions of one call of each, in each of so many runs, the least first."""
    runs = names * repeats
    counts: dict[str, list[int]] = {name: [] for name in names}
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        for name, found in zip(runs, executor.map(instructions_of, runs), strict=True):
            counts[name].append(found)
    return {name: sorted(found) for name, found in counts.items()}


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyzmq": zmq.__version__,
        "msgpack": ".".join(map(str, msgpack.version)),
        "processor": platform.machine(),
    }


def to_keep(counts: list[int]) -> dict[str, float]:
    """What is written of the counts of several runs."""
    spread = (counts[-1] - counts[0]) / counts[0]
    return {"instructions": int(median(counts)), "tolerance": round(max(TOLERANCE, 2 * spread), 3)}


def judged(counts: dict[str, list[int]], kept: dict[str, dict[str, float]]) -> list[str]:
    """Names of those that take more than is allowed."""
    return [
        name
        for name, each in counts.items()
        if name in kept and median(each) > kept[name]["instructions"] * (1 + kept[name]["tolerance"])
    ]


def print_beside(counts: dict[str, list[int]], kept: dict[str, dict[str, float]]) -> None:
    for name, each in counts.items():
        line, before = f"{name:34} {int(median(each)):9,} [{each[0]:,} to {each[-1]:,}]", kept.get(name)
        if before:
            line += f"  {median(each) / before['instructions'] - 1:+7.1%} of {before['instructions']:,}"
            line += f" (up to {before['tolerance']:.1%} is allowed)"
        print(line)


def update(counts: dict[str, list[int]], kept: dict[str, dict[str, float]]) -> None:
    """What was not counted stays, unless it is counted no more."""
    found = {name: to_keep(each) for name, each in counts.items()}
    for name, entry in found.items():
        if entry["tolerance"] > LOOSEST:
            print(f"not kept, since the runs differ too much: {name}")
    fresh = {name: {**kept, **found}[name] for name in LOOPS if name in {**kept, **found}}
    fresh = {name: entry for name, entry in fresh.items() if entry["tolerance"] <= LOOSEST}
    KEPT.write_text(json.dumps({"versions": versions(), "counts": fresh}, indent=2) + "\n")


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--update", action="store_true", help=f"write the counts to {KEPT.name}")
    parser.add_argument("--only", default="", metavar="NAME", help=f"what the names begin with: {', '.join(LOOPS)}")
    parser.add_argument("--runs", type=count, default=3, help="of each loop; the median counts (default: 3)")
    parser.add_argument("--loop", choices=LOOPS, help=SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        run_slices(options.loop)
    names = [name for name in LOOPS if name.startswith(options.only)]
    if not names:
        parser.error(f"--only {options.only}: there are {', '.join(LOOPS)}")
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: apt install valgrind", file=sys.stderr)
        return 2
    try:
        counts = counted(names, options.runs)
    except (CannotCount, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 2
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"versions": {}, "counts": {}}
    print_beside(counts, kept["counts"])
    if options.update:
        update(counts, kept["counts"])
        return 0
    if kept["versions"] != versions():
        print(f"not judged: the kept counts are of {kept['versions']}, these of {versions()}")
        return 0
    more = judged(counts, kept["counts"])
    if more:
        print(f"more than is allowed: {', '.join(more)}")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(status_of(main))
