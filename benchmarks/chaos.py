"""Kills workers with -9, now and then the broker, while a client has arrays worked on; then judges what was recorded.

    python benchmarks/chaos.py                                  # 20,000 tasks of 8 KB to 8 MB, 200 kills
    python benchmarks/chaos.py --tasks 500 --kills 10 --seed 7
    python benchmarks/chaos.py --check FOLDER                   # judge a history again

The client writes down each task that it begins and each end that it is told of, the workers each execution. The judge
reads nothing but that: every task has exactly one end, every result is right, nothing was delivered twice.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import repository  # noqa: F401 - for what is imported below
from arguments import Parser

import nptransport as npt

BROKER = """
import sys, nptransport as npt
npt.Broker(frontend=sys.argv[1], backend=sys.argv[2], interval=1.0).serve()
"""

WORKER = """
import json, os, sys, nptransport as npt
history = open(sys.argv[2], "a", buffering=1)
worker = npt.Worker(connect=sys.argv[1], interval=1.0)

@worker.method
def work(task):
    call = npt.current_call()
    history.write(json.dumps({"executed": task["index"], "call": call.id, "attempt": call.attempt, "pid": os.getpid()})
                  + "\\n")
    return {"index": task["index"], "data": task["data"] + 1}

print("up", flush=True)
worker.serve()
"""


class Processes:
    """Workers and a broker that are killed and started again."""

    def __init__(self, folder: Path, transport: str, workers: int, chance: random.Random) -> None:
        self._folder, self._chance = folder, chance
        self._frontend, self._backend = f"{transport}://{folder}/f", f"{transport}://{folder}/b"
        self._started = 0
        self._broker = self._start_broker()
        self._workers = [self._start_worker() for _ in range(workers)]
        self.kills = self.broker_kills = 0

    @property
    def frontend(self) -> str:
        return self._frontend

    def _start_broker(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", BROKER, self._frontend, self._backend])

    def _start_worker(self) -> subprocess.Popen[bytes]:
        self._started += 1
        history = self._folder / f"worker-{self._started}.jsonl"
        command = [sys.executable, "-c", WORKER, self._backend, str(history)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def kill_worker(self) -> None:
        """One that is up, at whatever it is doing."""
        index = self._chance.randrange(len(self._workers))
        worker = self._workers[index]
        assert worker.stdout is not None
        worker.stdout.readline()
        _kill(worker)
        self._workers[index] = self._start_worker()
        self.kills += 1

    def kill_broker(self) -> None:
        _kill(self._broker)
        self._broker = self._start_broker()
        self.broker_kills += 1

    def end(self) -> None:
        for process in [*self._workers, self._broker]:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def make_tasks(count: int, largest: int, seed: int, history: Any) -> Iterator[dict[str, Any]]:
    """Arrays whose sizes are spread evenly over the orders of magnitude."""
    chance = np.random.default_rng(seed)
    noise = chance.integers(0, 255, largest, np.uint8)
    for index in range(count):
        size = int(8192 * (largest / 8192) ** chance.random())
        data = noise[:size]
        history.write(json.dumps({"begun": index, "expected": zlib.crc32(data + np.uint8(1))}) + "\n")
        yield {"index": index, "data": data}


def pace(tasks: Iterator[Any], count: int, kills: int, processes: Processes, begun: list[int]) -> Iterator[Any]:
    """No faster than the killing, which waits for workers to come up: kills at the end would meet nobody at work."""
    for index, task in enumerate(tasks):
        while processes.kills < index * kills // count - 1:
            time.sleep(0.002)
        begun[0] = index + 1
        yield task


def play(folder: Path, arguments: argparse.Namespace) -> None:
    """One run, recorded in ``folder``."""
    processes = Processes(folder, arguments.transport, arguments.workers, random.Random(arguments.seed))
    ends = threading.Event()
    begun = [0]

    def kill() -> None:
        """Evenly over the tasks."""
        for number in range(1, arguments.kills + 1):
            while begun[0] < number * arguments.tasks // (arguments.kills + 1):
                if ends.wait(0.005):
                    return
            processes.kill_worker()
            if arguments.broker_kills and number % max(1, arguments.kills // arguments.broker_kills) == 0:
                processes.kill_broker()

    killer = threading.Thread(target=kill)
    started = time.monotonic()
    try:
        with (
            (folder / "client.jsonl").open("w") as history,
            npt.Client(connect=processes.frontend) as client,
        ):
            killer.start()
            tasks = make_tasks(arguments.tasks, arguments.largest, arguments.seed, history)
            paced = pace(tasks, arguments.tasks, arguments.kills, processes, begun)
            for result in client.map("work", paced, ordered=False, return_exceptions=True):
                if isinstance(result, Exception):
                    history.write(json.dumps({"failed": str(result)}) + "\n")
                else:
                    history.write(json.dumps({"ended": result["index"], "crc": zlib.crc32(result["data"])}) + "\n")
            statistics = client.statistics()
            facts = {"resent": statistics.resent, "late": statistics.late, "outstanding": statistics.outstanding}
            history.write(json.dumps({"client": facts}) + "\n")
    finally:
        ends.set()
        if killer.ident is not None:
            killer.join()
        processes.end()
    seconds = time.monotonic() - started
    print(f"{processes.kills} workers and {processes.broker_kills} brokers killed in {seconds:.0f} s")


def judge(folder: Path) -> bool:
    """Whether what was recorded keeps the promise."""
    begun: dict[int, int] = {}
    ended: collections.Counter[int] = collections.Counter()
    executed: collections.Counter[int] = collections.Counter()
    failed = wrong = 0
    facts: dict[str, int] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # the last line of a worker that was killed
                entry = json.loads(line)
                if "begun" in entry:
                    begun[entry["begun"]] = entry["expected"]
                elif "ended" in entry:
                    ended[entry["ended"]] += 1
                    wrong += begun.get(entry["ended"]) != entry["crc"]
                elif "failed" in entry:
                    failed += 1
                    print(f"failed: {entry['failed']}")
                elif "executed" in entry:
                    executed[entry["executed"]] += 1
                else:
                    facts = entry["client"]
    lost = len(begun) - len(ended) - failed
    twice = sum(count - 1 for count in ended.values())
    again = sum(count - 1 for count in executed.values())
    print(
        f"{len(begun)} tasks: {len(ended)} results, {failed} errors, {lost} lost, {twice} twice, {wrong} wrong;"
        f" {again} re-executions, {facts.get('resent')} calls sent again, {facts.get('late')} late answers dropped"
    )
    return bool(begun) and not (lost or twice or wrong or facts.get("outstanding"))


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--broker-kills", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--largest", type=int, default=2**23, help="bytes of the largest array")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--transport", choices=["ipc", "shm"], default="ipc")
    parser.add_argument("--check", type=Path, help="judge the history in this folder, and play nothing")
    arguments = parser.parse_args()
    if arguments.check:
        return 0 if judge(arguments.check) else 1
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(2**32)
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        play(Path(folder), arguments)
        return 0 if judge(Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
