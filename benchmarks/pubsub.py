"""Publisher to Subscriber against hand-written pyzmq PUB/SUB, interleaved, in separate processes.

    python benchmarks/pubsub.py [--sizes 1024 1000000] [--rounds 5] [--transports ipc tcp] [--json FILE]
    python benchmarks/pubsub.py --age            # how old the frames of latest=True are

The publisher sends as fast as it can; the reader checks dtype, shape and three elements of each array, and every
element of the last one, and takes the time for a number of messages: what is dropped on the way does not count. The
table gives medians over the rounds, with the range, and the ratio to the bare one. In a round everyone has one turn.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
import zmq.asyncio
from arguments import Parser
from streaming import COPY_BELOW, Expected, Table, array_of, free_port, header_of, ready, started

import nptransport as npt
import nptransport.asyncio

TOPIC = "camera/left"
BYTES = 1_500_000_000  # of one turn, for large arrays
MESSAGES = 60_000  # of one turn, for small ones


# The readers: an iterator of arrays each. They connect; the publishers have bound.


def read_bare(address: str, size: int) -> Iterator[np.ndarray]:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(TOPIC)
        subscriber.connect(address)
        copy = size < COPY_BELOW
        while True:
            _, _, part = subscriber.recv_multipart(copy=copy)
            yield np.frombuffer(part, np.uint8).reshape(size)


def read_ours(address: str, size: int) -> Iterator[np.ndarray]:
    with npt.Subscriber(connect=address, topics=TOPIC) as subscriber:
        yield from subscriber


def read_bare_async(address: str, size: int, check: Callable[[np.ndarray], bool]) -> None:
    async def main() -> None:
        with zmq.asyncio.Context() as context, context.socket(zmq.SUB) as subscriber:
            subscriber.linger = 0
            subscriber.subscribe(TOPIC)
            subscriber.connect(address)
            copy = size < COPY_BELOW
            while True:
                _, _, part = await subscriber.recv_multipart(copy=copy)
                if check(np.frombuffer(part, np.uint8).reshape(size)):
                    return

    asyncio.run(main())


def read_ours_async(address: str, size: int, check: Callable[[np.ndarray], bool]) -> None:
    async def main() -> None:
        async with nptransport.asyncio.Subscriber(connect=address, topics=TOPIC) as subscriber:
            while not check(await subscriber.recv()):
                pass

    asyncio.run(main())


# The writers: for ever


def write_bare(address: str, size: int) -> None:
    array, header = array_of(size), header_of(size)
    topic, copy = TOPIC.encode(), size < COPY_BELOW
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.bind(address)
        ready()
        while True:
            publisher.send_multipart([topic, header, array], copy=copy)


def write_ours(address: str, size: int) -> None:
    array = array_of(size)
    with npt.Publisher(bind=address) as publisher:
        ready()
        publisher.wait_for_subscribers(topic=TOPIC)
        while True:
            publisher.send(array, topic=TOPIC)


def write_lent(address: str, size: int) -> None:
    array = array_of(size)
    with npt.Publisher(bind=address) as publisher:
        ready()
        publisher.wait_for_subscribers(topic=TOPIC)
        while True:
            publisher.send(array, topic=TOPIC, copy=False)


def write_bare_async(address: str, size: int) -> None:
    async def main() -> None:
        array, header = array_of(size), header_of(size)
        topic, copy = TOPIC.encode(), size < COPY_BELOW
        with zmq.asyncio.Context() as context, context.socket(zmq.PUB) as publisher:
            publisher.bind(address)
            ready()
            while True:
                await publisher.send_multipart([topic, header, array], copy=copy)

    asyncio.run(main())


def write_ours_async(address: str, size: int) -> None:
    async def main() -> None:
        array = array_of(size)
        async with nptransport.asyncio.Publisher(bind=address) as publisher:
            ready()
            await publisher.wait_for_subscribers(topic=TOPIC)
            while True:
                await publisher.send(array, topic=TOPIC)

    asyncio.run(main())


CONTESTANTS = {
    "bare PUB/SUB": (read_bare, write_bare),
    "send()": (read_ours, write_ours),
    "send(copy=False)": (read_ours, write_lent),
    "asyncio": (read_ours_async, write_ours_async),
    "bare, zmq.asyncio": (read_bare_async, write_bare_async),
}


class Clock:
    """Takes the time from a tenth of ``count`` arrays on, and checks each."""

    def __init__(self, size: int, count: int) -> None:
        self._expected, self._count, self._seen, self._start = Expected(size), count, 0, 0.0

    def __call__(self, array: np.ndarray) -> bool:
        """Whether that was the last; then the rate is printed."""
        self._expected.look(array)
        self._seen += 1
        if self._seen == self._count // 10 + 1:
            self._start = time.perf_counter()
        if self._seen < self._count:
            return False
        seconds = time.perf_counter() - self._start
        self._expected.compare(array)
        print((self._count - self._count // 10 - 1) / seconds, flush=True)
        return True


def reader(name: str, address: str, size: int, count: int) -> None:
    clock, read = Clock(size, count), CONTESTANTS[name][0]
    if "async" in name:
        read(address, size, clock)  # type: ignore[call-arg]
        return
    for array in read(address, size):  # type: ignore[call-arg]
        if clock(array):
            os._exit(0)  # the publisher is still sending


def turn(name: str, transport: str, size: int, count: int) -> float:
    """Messages a second."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/s" if transport == "ipc" else f"tcp://127.0.0.1:{free_port()}"
        writing = started("write", name, address, size)
        try:
            read = [sys.executable, __file__, "read", name, address, str(size), str(count)]
            return float(subprocess.run(read, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout)
        finally:
            writing.kill()
            writing.wait()


def age(size: int, rate: float, seconds: float) -> None:
    """A reader at a tenth of the publisher's rate: how many frame intervals old is what it gets?"""
    script = (
        "import sys, time, numpy as np, nptransport as npt\n"
        "array, interval = np.zeros(int(sys.argv[1]), np.uint8), 1 / float(sys.argv[2])\n"
        "with npt.Publisher(bind='tcp://127.0.0.1:0') as publisher:\n"
        "    print(publisher.address, flush=True)\n"
        "    due = time.monotonic()\n"
        "    while True:\n"
        "        publisher.send(array)\n"
        "        due += interval\n"
        "        time.sleep(max(0, due - time.monotonic()))\n"
    )
    command = [sys.executable, "-c", script, str(size), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as publishing:
        assert publishing.stdout is not None
        address = publishing.stdout.readline().strip()
        ages = []
        with npt.Subscriber(connect=address, latest=True) as subscriber:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                message = subscriber.recv_message(timeout=10)
                assert message.sent_at is not None
                ages.append((time.time() - message.sent_at) * rate)
                time.sleep(10 / rate)
        publishing.kill()
    found = sorted(ages)
    print(
        f"latest=True, {size:,} bytes at {rate:g}/s, read at a tenth: age in frame intervals "
        f"median {statistics.median(found):.2f}, worst {found[-1]:.2f} of {len(found)}"
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 65_536, 1_000_000, 8_000_000])
    parser.add_argument("--transports", nargs="+", default=["ipc", "tcp"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(CONTESTANTS), help="names of contestants")
    parser.add_argument("--age", action="store_true", help="measure the age of frames instead")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.age:
        for size, rate in ((921_600, 100.0), (6_220_800, 60.0)):
            age(size, rate, 10)
        return
    table = Table(options.rounds, against={options.only[0]: options.only[0]})
    for transport in options.transports:
        for size in options.sizes:
            count = max(100, min(MESSAGES, BYTES // size))
            rates: dict[str, list[float]] = {name: [] for name in options.only}
            for _ in range(options.rounds):
                for name in options.only:
                    rates[name].append(turn(name, transport, size, count))
            table.add(transport, size, count, rates)
    if options.json:
        table.save(options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        reader(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    elif sys.argv[1:2] == ["write"]:
        CONTESTANTS[sys.argv[2]][1](sys.argv[3], int(sys.argv[4]))
    else:
        main()
