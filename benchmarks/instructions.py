"""Instructions that one encode, decode, dumps, loads, send and recv take: repeatable where times are not.

    python benchmarks/instructions.py [--update] [--only encode] [--runs 3]

valgrind's callgrind counts them in a short and in a long loop, and the difference is divided by that of the loops, so
that start-up does not count. The endpoints are over inproc://, where no thread of ZeroMQ's takes part. The counts are
held against benchmarks/instructions.json, each within its tolerance, where Python, NumPy, pyzmq, msgpack and the kind
of processor are those that it was written with; else they are printed, and not judged. Exit status: 1 if there are
more instructions than that, 2 without valgrind. `--update` writes the file, for a change that is meant: of several
runs the median, with a tolerance of 3 %, or of twice the spread of the runs where that is more; not beyond 20 %.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import msgpack
import numpy as np
import zmq

import nptransport as npt

KEPT = Path(__file__).with_suffix(".json")
SHORT, LONG = 500, 4500  # the interpreter has specialised what it runs by then
TOLERANCE = 0.03
LOOSEST = 0.2  # beyond that a count would tell nothing, and is not kept
FIXED = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}  # its idle threads spin for as long as they get to

ARRAY = np.zeros((16, 16), np.float32)  # 1 KB


def repeat(work: Callable[[], object], count: int) -> None:
    for _ in range(count):
        work()


def decode(count: int) -> None:
    frames = npt.encode(ARRAY)
    repeat(lambda: npt.decode(frames), count)


def loads(count: int) -> None:
    blob = npt.dumps(ARRAY)
    repeat(lambda: npt.loads(blob), count)


def send(count: int, receive: bool = False) -> None:
    with npt.Consumer(bind="inproc://counted", max_messages=4 * LONG) as consumer:
        producer = npt.Producer(connect="inproc://counted", max_messages=4 * LONG)
        repeat(lambda: producer.send(ARRAY), count)
        if receive:
            repeat(lambda: consumer.recv(timeout=60), count)
        sys.stdout.flush()
        os._exit(0)  # closing would wait for what nobody reads


LOOPS: dict[str, Callable[[int], None]] = {
    "encode": lambda count: repeat(lambda: npt.encode(ARRAY), count),
    "decode": decode,
    "dumps": lambda count: repeat(lambda: npt.dumps(ARRAY), count),
    "loads": loads,
    "Producer.send": send,
    "Producer.send + Consumer.recv": lambda count: send(count, receive=True),
}


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyzmq": zmq.__version__,
        "msgpack": ".".join(map(str, msgpack.version)),
        "processor": platform.machine(),
    }


def instructions_of(name: str, count: int) -> int:
    """Of a whole process that runs the loop."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, __file__, "--loop", name, str(count)]
    done = subprocess.run(command, env={**os.environ, **FIXED}, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not collected:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return int(collected[1])


def counted(names: list[str], repeats: int) -> dict[str, list[int]]:
    """Instructions of one call of each, in each of so many runs, the least first."""
    runs = [(name, count) for name in names for count in (SHORT, LONG)] * repeats
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        totals: dict[tuple[str, int], list[int]] = {}
        for run, total in zip(runs, executor.map(lambda each: instructions_of(*each), runs), strict=True):
            totals.setdefault(run, []).append(total)
    return {
        name: sorted(
            (long - short) // (LONG - SHORT)
            for short, long in zip(totals[name, SHORT], totals[name, LONG], strict=True)
        )
        for name in names
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help=f"write the counts to {KEPT.name}")
    parser.add_argument("--only", default="", help="what the names begin with")
    parser.add_argument("--runs", type=int, help="of each loop; the median counts (default: 1, and 3 with --update)")
    parser.add_argument("--loop", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        gc.disable()
        LOOPS[options.loop[0]](int(options.loop[1]))
        return 0
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: apt install valgrind", file=sys.stderr)
        return 2
    repeats = options.runs or (3 if options.update else 1)
    counts = counted([name for name in LOOPS if name.startswith(options.only)], repeats)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"versions": {}, "counts": {}}
    for name, each in counts.items():
        line, before = f"{name:30} {int(median(each)):9,}", kept["counts"].get(name)
        if before:
            line += f"  {median(each) / before['instructions'] - 1:+7.1%} of {before['instructions']:,}"
            line += f" (up to {before['tolerance']:.1%} is allowed)"
        print(line)
    if options.update:
        found = {name: to_keep(each) for name, each in counts.items()}
        fresh = {name: entry for name, entry in found.items() if entry["tolerance"] <= LOOSEST}
        kept = {"versions": versions(), "counts": {**kept["counts"], **fresh}}
        KEPT.write_text(json.dumps(kept, indent=2) + "\n")
        return 0
    if kept["versions"] != versions():
        print(f"not judged: the kept counts are of {kept['versions']}, these of {versions()}")
        return 0
    more = judged(counts, kept["counts"])
    if more:
        print(f"more than is allowed: {', '.join(more)}")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
