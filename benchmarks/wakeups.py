"""What it costs to tell another process that something lies in shared memory, by the ways there are.

    python benchmarks/wakeups.py [--size 1000000] [--messages 20000] [--rounds 5]

Each way hands over notices of 150 bytes, as a message in shared memory needs them, from one process to another:

    zmq       PUSH to PULL over ipc://, in one part
    pair      a socket pair of packets: what a lane is
    eventfd   a ring in shared memory; who finds it empty sleeps on an eventfd, and is woken only then
    spin      the same, and who waits never sleeps

alone, and with the work around them that an array of ``--size`` bytes makes: one copy before, one look at every element
after.
Nothing here checks, numbers or counts anything, and one reader is all that there can be: these are bounds, not offers.
The table gives microseconds a notice, medians over the rounds, in which everyone has one turn.
"""

from __future__ import annotations

import mmap
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
from arguments import Parser
from streaming import copies_per_second

NOTICE = b"n" * 150
SLOTS = 4  # arrays on their way
ENTRIES = 64  # of the ring
ENTRY = 256

Put = Callable[[bytes], object]
Take = Callable[[], object]


class Ring:
    """Entries that one process writes and another reads. Counters and flag are words of their own, aligned; x86 and
    64-bit ARM write them whole, and the system calls around them keep the order where somebody sleeps."""

    def __init__(self, *, sleeps: bool) -> None:
        self._memory = mmap.mmap(-1, 4096 + ENTRIES * ENTRY)
        self._words = np.frombuffer(self._memory, np.uint64, 24)
        self._sleeps = sleeps
        self._wake = os.eventfd(0)

    def put(self, notice: bytes) -> None:
        words = self._words
        written = int(words[0])
        while written - int(words[8]) >= ENTRIES:
            os.sched_yield()
        at = 4096 + written % ENTRIES * ENTRY
        self._memory[at : at + len(notice)] = notice
        words[0] = written + 1
        if self._sleeps and words[16]:
            os.eventfd_write(self._wake, 1)

    def take(self) -> bytes:
        words = self._words
        read = int(words[8])
        while int(words[0]) == read:
            if not self._sleeps:
                os.sched_yield()
                continue
            words[16] = 1
            os.sched_yield()  # a system call between the flag and the look
            if int(words[0]) == read:
                os.eventfd_read(self._wake)
            words[16] = 0
        at = 4096 + read % ENTRIES * ENTRY
        notice = self._memory[at : at + len(NOTICE)]
        words[8] = read + 1
        return notice


def ways(folder: str) -> Iterator[tuple[str, Callable[[], Put], Callable[[], Take]]]:
    """Name, and what gives each process its end, which it makes itself."""

    def push() -> Put:
        pushing = zmq.Context().socket(zmq.PUSH)
        pushing.bind(f"ipc://{folder}/zmq")
        return pushing.send

    def pull() -> Take:
        pulling = zmq.Context().socket(zmq.PULL)
        pulling.connect(f"ipc://{folder}/zmq")
        return pulling.recv

    yield "zmq", push, pull
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield "pair", lambda: ours.send, lambda: lambda: theirs.recv(4096)
    for name in ("eventfd", "spin"):
        ring = Ring(sleeps=name == "eventfd")
        yield name, lambda ring=ring: ring.put, lambda ring=ring: ring.take


def turn(put_end: Callable[[], Put], take_end: Callable[[], Take], messages: int, size: int) -> float:
    """Microseconds a notice; ``size``: bytes of the array that each is of, 0 for none."""
    memory = mmap.mmap(-1, 4096 + SLOTS * size)
    free = np.frombuffer(memory, np.uint64, 1)  # slots that have been read
    slots = [np.frombuffer(memory, np.uint8, size, 4096 + index * size) for index in range(SLOTS)]
    source = np.ones(size, np.uint8)
    writer = os.fork()
    if not writer:
        put = put_end()
        for number in range(messages):
            if size:
                while number - int(free[0]) >= SLOTS:
                    os.sched_yield()
                np.copyto(slots[number % SLOTS], source)
            put(NOTICE)
        time.sleep(1)  # ZeroMQ sends behind our back
        os._exit(0)
    take = take_end()
    start = 0.0
    for number in range(messages):
        take()
        if size:
            slots[number % SLOTS].max()
            free[0] = number + 1
        if number == messages // 10:
            start = time.perf_counter()
    seconds = time.perf_counter() - start
    os.waitpid(writer, 0)
    return seconds / (messages - 1 - messages // 10) * 1e6


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for size in (0, options.size):
            with tempfile.TemporaryDirectory(prefix="npt") as folder:
                for name, put_end, take_end in ways(folder):
                    took.setdefault((name, size), []).append(turn(put_end, take_end, options.messages, size))
    print(f"np.copyto of {options.size:,} bytes, warm: {1e6 / copies_per_second(options.size):.1f} us")
    for (name, size), turns in took.items():
        kind = f"with {size:,} bytes copied and read" if size else "alone"
        print(f"{name:8} {kind:36} {statistics.median(turns):7.1f} us  [{min(turns):.1f} to {max(turns):.1f}]")


if __name__ == "__main__":
    main()
