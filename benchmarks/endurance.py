"""Many messages over shm://, or for long: does what the processes hold stay level?

    python benchmarks/endurance.py [--messages 1_000_000] [--patterns push publish serve] [--bytes 200_000]
    python benchmarks/endurance.py --minutes 60 --patterns push

Arrays of 1 byte to --bytes, by a seed, go from one process to another and are checked there: push (one in eight as a
loan), publish (two subscribers), serve (calls, there and back). Memory, descriptors and threads of every process are
looked at each second. Exit code 1 if the median of the last third is above that of the second by more than 10 MB, 16
descriptors (a size that had no place yet takes a segment, which costs two, until the budget is full) or 1 thread, or if
a message was wrong, or lost without a count.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from statistics import median

import numpy as np
import repository  # noqa: F401 - for what is imported below
from arguments import Parser
from holding import held

import nptransport as npt

BUDGET = 32_000_000  # bytes of shared memory for each sender: few, so that it is full soon
ALLOWED = {"megabytes": 10.0, "descriptors": 16.0, "threads": 1.0}
ROLES = {"push": ["consume", "produce"], "publish": ["subscribe", "subscribe", "publish"], "serve": ["serve", "call"]}
LAST = "last"  # text that ends a stream


def arrays(seed: int, size: int, messages: int, until: float):
    """What is sent: each says in its last byte what its first has to be."""
    draw, noise = random.Random(seed), np.random.default_rng(seed).integers(0, 256, size + 256, np.uint8)
    for number in range(messages):
        if number % 1024 == 0 and time.time() > until:
            return
        nbytes = int(size ** draw.random()) + 1
        array = noise[number % 251 : number % 251 + nbytes]
        array[0] = array[-1] = number % 251
        yield array


def checked(array: np.ndarray) -> int:
    """1, or 0 for one that is not what was sent."""
    return int(array[0] == array[-1])


def produce(address: str, *how: float) -> tuple[int, int]:
    with npt.Producer(bind=address, max_bytes=BUDGET) as producer:
        count = 0
        for array in arrays(*how):
            if count % 8:
                producer.send(array)
            else:
                with producer.loan(array.shape, array.dtype) as lent:
                    lent[:] = array
            count += 1
        producer.send(LAST)
        return count, 0


def consume(address: str, *how: float) -> tuple[int, int]:
    with npt.Consumer(connect=address) as consumer:
        good = count = 0
        for payload in consumer:
            if isinstance(payload, str):
                break
            count, good = count + 1, good + checked(payload)
        return count, count - good + consumer.statistics().missed


def publish(address: str, *how: float) -> tuple[int, int]:
    with npt.Publisher(bind=address, max_bytes=BUDGET) as publisher:
        publisher.wait_for_subscribers(2)
        count = 0
        for array in arrays(*how):
            publisher.send(array, topic="a")
            count += 1
        while publisher.statistics().subscribers:  # what is told last may find no room, too
            publisher.send(LAST, topic="a")
            time.sleep(0.01)
        return count, 0


def subscribe(address: str, *how: float) -> tuple[int, int]:
    with npt.Subscriber(connect=address, topics="a") as subscriber:
        good = count = sequence = 0
        while True:
            message = subscriber.recv_message()
            if isinstance(message.payload, str):
                break
            sequence = message.sequence + 1
            count, good = count + 1, good + checked(message.payload)
        statistics = subscriber.statistics()
        lost = sequence - count - statistics.missed  # neither received nor counted
        return count, count - good + max(0, lost)


def serve(address: str, *how: float) -> tuple[int, int]:
    server = npt.Server(bind=address, max_bytes=BUDGET)
    server.register("back", lambda array: array[::-1])
    server.register("end", server.close)
    server.serve()
    statistics = server.statistics()
    return statistics.results - 1, statistics.errors


def call(address: str, *how: float) -> tuple[int, int]:
    with npt.Client(connect=address, max_bytes=BUDGET) as client:
        good = count = 0
        for array in arrays(*how):
            count, good = count + 1, good + checked(client.call("back", array))
        client.call("end")
        return count, count - good


def sample(process: subprocess.Popen[str]) -> dict[str, float] | None:
    """What it holds now; None once it has ended."""
    try:
        return held(process.pid)
    except (OSError, IndexError):
        return None


def watch(pattern: str, address: str, how: list[str]) -> bool:
    """Play one pattern to its end; whether all was level, and all was right."""
    command = [sys.executable, __file__, "--role"]
    processes = [
        subprocess.Popen([*command, role, address, *how], stdout=subprocess.PIPE, text=True) for role in ROLES[pattern]
    ]
    samples: dict[int, list[dict[str, float]]] = defaultdict(list)
    begun = time.monotonic()
    while any(process.poll() is None for process in processes):
        time.sleep(1.0)
        for index, process in enumerate(processes):
            held_now = sample(process) if process.poll() is None else None
            if held_now is not None:
                samples[index].append(held_now)
    passed = time.monotonic() - begun
    fine = True
    for index, (role, process) in enumerate(zip(ROLES[pattern], processes, strict=True)):
        said = process.communicate()[0].split()
        count, wrong = (int(word) for word in said) if len(said) == 2 else (0, -1)
        rows = samples[index] or [dict.fromkeys(ALLOWED, 0.0)]  # it may have ended before anybody looked
        third = max(1, len(rows) // 3)
        second, last = rows[-2 * third : -third] or rows, rows[-third:]
        levels = {name: (median(s[name] for s in second), median(s[name] for s in last)) for name in ALLOWED}
        level = all(after - before <= ALLOWED[name] for name, (before, after) in levels.items())
        fine = fine and level and not wrong and not process.returncode
        told = ", ".join(f"{name} {before:.0f} and {after:.0f}" for name, (before, after) in levels.items())
        print(f"{pattern} {role:9} {count:,} in {passed:.0f} s, {wrong} wrong; {told}", flush=True)
    return fine


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, help="end each pattern after so long, whatever the number")
    parser.add_argument("--bytes", type=int, default=200_000)
    parser.add_argument("--patterns", nargs="+", choices=ROLES, default=list(ROLES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--role", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role, address, seed, size, messages, until = options.role
        print(*globals()[role](address, int(seed), int(size), int(messages), float(until)), flush=True)
        return 0
    print(f"seed {options.seed}", flush=True)
    messages = 2**62 if options.minutes else options.messages
    fine = True
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        for pattern in options.patterns:
            until = time.time() + options.minutes * 60 if options.minutes else float("inf")
            how = [str(options.seed), str(options.bytes), str(messages), str(until)]
            fine = watch(pattern, f"shm://{folder}/{pattern}", how) and fine
    print("level" if fine else "NOT LEVEL, OR WRONG")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
