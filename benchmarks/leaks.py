"""Opens and closes endpoints, and looks whether anything stays behind: descriptors, threads, memory.

    python benchmarks/leaks.py --cycles 2000 --seed 1

Each cycle does one of these: a pair that sends and closes, with and without security; an address in use; a connect to
nobody, messages unsent; a client that is refused; a receive on asyncio that is cancelled; publisher, subscriber and
proxy. Exit code 1 if descriptors or threads grew at all, or memory by more than 10 MB once the first tenth is through.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
from arguments import Parser, count
from holding import held

import nptransport as npt
import nptransport.asyncio

PATIENCE = 20.0
SERVER, SECRET = (key.decode() for key in zmq.curve_keypair())
FRIEND, FRIEND_SECRET = (key.decode() for key in zmq.curve_keypair())
ANY = "tcp://127.0.0.1:0"


def serve() -> npt.Curve:
    return npt.Curve.server(secret=SECRET, allowed=[FRIEND])


def come() -> npt.Curve:
    return npt.Curve.client(server=SERVER, secret=FRIEND_SECRET)


def pair() -> None:
    with npt.Consumer(bind=ANY) as consumer, npt.Producer(connect=consumer.address) as producer:
        producer.send(np.zeros(100_000))
        consumer.recv(timeout=PATIENCE)


def secured_pair() -> None:
    with (
        npt.Consumer(bind=ANY, security=serve()) as consumer,
        npt.Producer(connect=consumer.address, security=come()) as producer,
    ):
        producer.send(np.zeros(100))
        consumer.recv(timeout=PATIENCE)


def in_use() -> None:
    with npt.Consumer(bind=ANY) as consumer, contextlib.suppress(npt.AddressError):
        npt.Consumer(bind=consumer.address, security=serve())


def nobody() -> None:
    producer = npt.Producer(connect="tcp://127.0.0.1:9", linger=0)
    producer.send(np.zeros(100))
    producer.close()


def refused() -> None:
    with npt.Consumer(bind=ANY, security=serve()) as consumer:
        producer = npt.Producer(connect=consumer.address, security=npt.Curve.client(server=SERVER))
        with contextlib.suppress(npt.AuthenticationError):
            producer.flush(timeout=PATIENCE)
        producer.close(linger=0)


def cancelled() -> None:
    async def main() -> None:
        async with nptransport.asyncio.Consumer(bind=ANY) as consumer:
            task = asyncio.ensure_future(consumer.recv())
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(main())


def published() -> None:
    with (
        npt.Proxy(frontend=ANY, backend=ANY, security=serve()) as proxy,
        npt.Publisher(connect=proxy.frontend, security=come()) as publisher,
        npt.Subscriber(connect=proxy.backend, latest=True, security=come()) as subscriber,
    ):
        publisher.wait_for_subscribers(timeout=PATIENCE)
        for _ in range(100):
            publisher.send(np.zeros(10))
            with contextlib.suppress(npt.Timeout):
                subscriber.recv(timeout=0.2)
                return
        raise AssertionError("nothing came through the proxy")


KINDS: list[Callable[[], None]] = [pair, secured_pair, in_use, nobody, refused, cancelled, published]


def measure() -> tuple[float, int, float]:
    """Descriptors, threads, megabytes."""
    gc.collect()
    now = held()
    return now["descriptors"], threading.active_count(), now["megabytes"]


def settled(wanted: tuple[float, int, float] | None) -> tuple[float, int, float]:
    """As :func:`measure`, once libzmq's own threads have seen to what was closed."""
    deadline = time.monotonic() + 5
    while True:
        now = measure()
        if wanted is None or now[:2] <= wanted[:2] or time.monotonic() > deadline:
            return now
        time.sleep(0.05)


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--cycles", type=count, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable()
    draw, started = random.Random(options.seed), time.monotonic()
    for kind in KINDS:
        kind()
    first = None
    for number in range(options.cycles):
        if number == options.cycles // 10:
            time.sleep(0.5)
            first = settled(None)
        draw.choice(KINDS)()
    last = settled(first)
    assert first is not None
    for name, before, after in zip(("descriptors", "threads", "megabytes"), first, last, strict=True):
        print(f"{name}: {before:.0f} before, {after:.0f} after")
    print(f"seed {options.seed}: {options.cycles:,} cycles in {time.monotonic() - started:.0f} s")
    return int(last[0] > first[0] or last[1] > first[1] or last[2] > first[2] + 10)


if __name__ == "__main__":
    sys.exit(main())
