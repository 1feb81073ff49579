"""How old is what a reader of the newest gets first when it wakes: from a nap of its own, or stopped as a process.

    python benchmarks/asleep.py [--seconds 60] [--rate 100] [--size 921600] [--transports ipc tcp shm]

The publisher never rests. Two subscribers with latest=True get one message each; then one sleeps in its program, while
its thread goes on taking messages, and the other is stopped (SIGSTOP), while old ones wait in the system's buffers.
Prints the ages of the next three messages of each, and exits with 1 if a first one is older than half a second.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile

import repository  # noqa: F401 - for the processes
from arguments import Parser

OLD = 0.5  # seconds

PUBLISHER = """
import sys, time, numpy as np, nptransport as npt
address, size, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
frame = np.ones(size, np.uint8)
with npt.Publisher(bind=address) as publisher:
    print(publisher.address, flush=True)
    while True:
        publisher.send(frame)
        time.sleep(1 / rate)
"""

SUBSCRIBER = """
import sys, time, nptransport as npt
with npt.Subscriber(connect=sys.argv[1], latest=True) as subscriber:
    subscriber.recv(timeout=10)
    print(flush=True)
    time.sleep(float(sys.argv[2]))
    sys.stdin.readline()
    for _ in range(3):
        message = subscriber.recv_message(timeout=10)
        print(message.sent_at, time.time(), flush=True)
    statistics = subscriber.statistics()
    print(statistics.skipped, statistics.missed, flush=True)
"""


def start(program: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wake(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def report(how: str, transport: str, subscriber: subprocess.Popen[str]) -> bool:
    """Print what it got; whether the first was fresh."""
    times = [tuple(map(float, hear(subscriber).split())) for _ in range(3)]
    skipped, missed = hear(subscriber).split()
    ages = ", ".join(f"{(got - sent) * 1e3:.1f}" for sent, got in times)
    print(f"{transport:4} {how:8} ages {ages} ms; {skipped} skipped, {missed} missed")
    sent, got = times[0]
    return got - sent < OLD


def sleep(transport: str, folder: str, options: argparse.Namespace) -> bool:
    """Both readers over ``transport``; whether both got a fresh one first."""
    address = "tcp://127.0.0.1:0" if transport == "tcp" else f"{transport}://{folder}/{transport}"
    publisher = start(PUBLISHER, address, options.size, options.rate)
    address = hear(publisher)
    asleep, stopped = start(SUBSCRIBER, address, options.seconds), start(SUBSCRIBER, address, 0)
    try:
        hear(asleep), hear(stopped)
        os.kill(stopped.pid, signal.SIGSTOP)
        wake(asleep)
        fresh = report("asleep", transport, asleep)
        wake(stopped)
        os.kill(stopped.pid, signal.SIGCONT)
        return report("stopped", transport, stopped) and fresh
    finally:
        for process in (publisher, asleep, stopped):
            process.kill()


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second")
    parser.add_argument("--size", type=int, default=921_600, help="bytes of each")
    parser.add_argument("--transports", nargs="+", default=["ipc", "tcp", "shm"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = [sleep(transport, folder, options) for transport in options.transports]
    sys.exit(not all(fresh))


if __name__ == "__main__":
    main()
