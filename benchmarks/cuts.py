"""Cuts the connection between two endpoints at random bytes, and looks whether the accounts are exact.

    python benchmarks/cuts.py --cuts 1_000 --seed 1
    python benchmarks/cuts.py --cuts 1_000 --seed 1 --secured         the same with CURVE

A cable in between ends each connection after a number of bytes, from a handful, amid the handshake, to some messages'
worth. At the end: what was received and what is reported as missed are what was sent, and nothing came twice. Both for
a publisher and its subscriber, and for a producer and its consumer. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zmq

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import nptransport as npt  # noqa: E402

PATIENCE = 60.0
ANY = "tcp://127.0.0.1:0"


class Fuses:
    """Bytes after which each connection is cut, until there have been enough cuts."""

    def __init__(self, draw: random.Random, cuts: int) -> None:
        self._draw, self._left = draw, cuts
        self.done = threading.Event()

    def __iter__(self) -> Iterator[int | None]:
        return self

    def __next__(self) -> int | None:
        if self._left == 0:
            self.done.set()
            return None
        self._left -= 1
        return self._draw.choice((self._draw.randrange(1, 600), self._draw.randrange(600, 20_000), 100_000))


class Reader:
    """Takes what comes in a thread, and knows how often each came."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self.seen: Counter[int] = Counter()
        self.changed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for array in self._receiver:
            self.seen[int(array.flat[0])] += 1
            self.changed.set()

    def end(self) -> None:
        self._receiver.close()
        self._thread.join()


def payload(number: int, draw: random.Random) -> np.ndarray[Any, Any]:
    return np.full(draw.choice((1, 100, 3000)), number)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("waited in vain")
        time.sleep(0.01)


def security(secured: bool) -> tuple[npt.Curve | None, npt.Curve | None]:
    if not secured:
        return None, None
    (server, secret), (friend, friend_secret) = (zmq.curve_keypair() for _ in range(2))
    return npt.Curve.server(secret=secret, allowed=[friend]), npt.Curve.client(server=server, secret=friend_secret)


def report(name: str, sent: int, reader: Reader, missed: int, cuts: int, started: float) -> int:
    received, twice = len(reader.seen), sum(count > 1 for count in reader.seen.values())
    unaccounted = sent - received - missed
    print(
        f"{name}: {cuts:,} cuts in {time.monotonic() - started:.0f} s; sent {sent:,}, received {received:,}, "
        f"missed {missed:,}, twice {twice}, {unaccounted} unaccounted"
    )
    return int(unaccounted != 0 or twice != 0)


def publish(cuts: int, seed: int, secured: bool) -> int:
    from cable import Cable

    draw, started, (server, client) = random.Random(f"publish {seed}"), time.monotonic(), security(secured)
    fuses, sent = Fuses(random.Random(seed), cuts), 0
    with npt.Publisher(bind=ANY, security=server) as publisher:
        cable = Cable(publisher.address, fuses=fuses)
        subscriber = npt.Subscriber(connect=cable.address, security=client)
        reader = Reader(subscriber)
        publisher.wait_for_subscribers(timeout=PATIENCE)
        publisher.send(payload(0, draw))
        while not fuses.done.is_set():
            sent += 1
            publisher.send(payload(sent, draw))
            time.sleep(0.002)

        def is_whole() -> bool:  # what was dropped last is known once something arrives
            nonlocal sent
            sent += 1
            publisher.send(payload(sent, draw))
            reader.changed.wait(0.1)
            return reader.seen[sent] > 0

        wait_for(is_whole)
        (stream,) = subscriber.statistics().streams.values()
        code = report("publish", sent + 1 - stream.first, reader, stream.missed, cuts, started)
        reader.end()
        cable.close()
        return code


def push(cuts: int, seed: int, secured: bool) -> int:
    from cable import Cable

    draw, started, (server, client) = random.Random(f"push {seed}"), time.monotonic(), security(secured)
    fuses, sent = Fuses(random.Random(seed), cuts), 0
    consumer = npt.Consumer(bind=ANY, security=server)
    cable = Cable(consumer.address, fuses=fuses)
    reader = Reader(consumer)
    with npt.Producer(connect=cable.address, security=client, linger=0) as producer:

        def send() -> None:
            nonlocal sent
            with contextlib.suppress(npt.AuthenticationError):
                producer.send(payload(sent, draw), timeout=PATIENCE)
                sent += 1

        while not fuses.done.is_set():
            send()
            time.sleep(0.002)

        def is_whole() -> bool:
            send()
            reader.changed.wait(0.1)
            return reader.seen[sent - 1] > 0

        wait_for(is_whole)
    first = min(reader.seen)  # a consumer counts from the first that came
    code = report("push", sent - first, reader, consumer.statistics().missed, cuts, started)
    reader.end()
    cable.close()
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=lambda text: int(text.replace(",", "").replace("_", "")), default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--secured", action="store_true")
    options = parser.parse_args()
    logging.disable()
    codes = [each(options.cuts, options.seed, options.secured) for each in (publish, push)]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
