"""Cuts the connection between two endpoints at random bytes, and looks whether the accounts are exact.

    python benchmarks/cuts.py --cuts 1_000 --seed 1
    python benchmarks/cuts.py --cuts 1_000 --seed 1 --secured         the same with CURVE
    python benchmarks/cuts.py --cuts 1_000 --part requests            one of publish, push, requests, workers

A cable in between ends each connection after a number of bytes, from a handful, amid the handshake, to some messages'
worth; now and then it is slow for a while, or silent, which ends in a cut as well. At the end, for a publisher and its
subscriber, and for a producer and its consumer: what was received and what is reported as missed are what was sent, and
nothing came twice. For a client with its server, and with a broker and workers, both with a cable in between: each call
has had one end, and every result is right. Exit code 1 if not.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import repository
import zmq
from arguments import Parser, count

sys.path.insert(1, str(repository.ROOT / "tests"))

from cable import Cable
from children import wait_until

import nptransport as npt

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
        return self._draw.choice((self._draw.randrange(1, 600), self._draw.randrange(600, 20_000), 300_000))


class Trouble:
    """Makes a cable slow, or silent, for a while, again and again."""

    def __init__(self, cables: list[Cable], seed: int) -> None:
        self._cables, self._draw = cables, random.Random(f"trouble {seed}")
        self.delays = self.silences = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Trouble:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._draw.uniform(0.1, 2.0)):
            cable = self._draw.choice(self._cables)
            if self._draw.random() < 0.5:
                self.delays += 1
                cable.delay = self._draw.uniform(0.001, 0.1)
                self._over.wait(self._draw.uniform(0.1, 1.0))
                cable.delay = 0.0
            else:
                self.silences += 1
                cable.silence_all()
                self._over.wait(self._draw.uniform(0.1, 2.0))
                cable.cut_all()  # what the system would find out in the end

    def __str__(self) -> str:
        return f"{self.delays} delays, {self.silences} silences"


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


def security(secured: bool) -> tuple[npt.Curve | None, npt.Curve | None]:
    if not secured:
        return None, None
    (server, secret), (friend, friend_secret) = (zmq.curve_keypair() for _ in range(2))
    return npt.Curve.server(secret=secret, allowed=[friend]), npt.Curve.client(server=server, secret=friend_secret)


def report(name: str, sent: int, reader: Reader, missed: int, cuts: int, trouble: Trouble, started: float) -> int:
    received, twice = len(reader.seen), sum(count > 1 for count in reader.seen.values())
    unaccounted = sent - received - missed
    print(
        f"{name}: {cuts:,} cuts, {trouble} in {time.monotonic() - started:.0f} s; sent {sent:,}, "
        f"received {received:,}, missed {missed:,}, twice {twice}, {unaccounted} unaccounted"
    )
    return int(unaccounted != 0 or twice != 0)


def publish(cuts: int, seed: int, secured: bool) -> int:
    draw, started, (server, client) = random.Random(f"publish {seed}"), time.monotonic(), security(secured)
    fuses, sent = Fuses(random.Random(seed), cuts), 0
    with npt.Publisher(bind=ANY, security=server) as publisher:
        cable = Cable(publisher.address, fuses=fuses)
        subscriber = npt.Subscriber(connect=cable.address, security=client)
        reader = Reader(subscriber)
        publisher.wait_for_subscribers(timeout=PATIENCE)
        publisher.send(payload(0, draw))
        with Trouble([cable], seed) as trouble:
            while not fuses.done.is_set():
                sent += 1
                publisher.send(payload(sent, draw))
                time.sleep(0.002)

        def is_whole() -> bool:  # what was dropped last is known once something arrives
            nonlocal sent
            sent += 1
            reader.changed.clear()
            publisher.send(payload(sent, draw))
            reader.changed.wait(0.1)
            return reader.seen[sent] > 0

        wait_until(is_whole, PATIENCE)
        (stream,) = subscriber.statistics().streams.values()
        code = report("publish", sent + 1 - stream.first, reader, stream.missed, cuts, trouble, started)
        reader.end()
        cable.close()
        return code


def push(cuts: int, seed: int, secured: bool) -> int:
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

        with Trouble([cable], seed) as trouble:
            while not fuses.done.is_set():
                send()
                time.sleep(0.002)

        def is_whole() -> bool:
            reader.changed.clear()
            send()
            reader.changed.wait(0.1)
            return reader.seen[sent - 1] > 0

        wait_until(is_whole, PATIENCE)
    first = min(reader.seen)  # a consumer counts from the first that came
    code = report("push", sent - first, reader, consumer.statistics().missed, cuts, trouble, started)
    reader.end()
    cable.close()
    return code


def work(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array + 1


def judge_calls(name: str, client: npt.Client, cuts: int, cables: list[Cable], fuses: Fuses, seed: int) -> int:
    """Call until all the cuts have been made, and once more; each call has to have one end."""
    draw, started = random.Random(f"{name} {seed}"), time.monotonic()
    begun = right = wrong = 0
    ends: Counter[str] = Counter()
    with Trouble(cables, seed) as trouble:
        last = False
        while not last:
            last = fuses.done.is_set()
            arrays = [payload(begun + index, draw) for index in range(4)]
            futures = [client.submit("work", array, timeout=PATIENCE) for array in arrays]
            for array, future in zip(arrays, futures, strict=True):
                begun += 1
                error = future.exception()
                if error is None:
                    is_right = np.array_equal(future.result(), array + 1)
                    right, wrong = right + is_right, wrong + (not is_right)
                else:
                    ends[error.type if isinstance(error, npt.RemoteError) else type(error).__name__] += 1
    told = client.statistics()
    lost_workers = ends.pop("WorkersLost", 0)  # an end that is promised, where one task's connections were cut so often
    lost, twice = ends.total(), told.results + told.errors + told.timeouts - begun
    print(
        f"{name}: {cuts:,} cuts, {trouble} in {time.monotonic() - started:.0f} s; {begun:,} calls, {right:,} results, "
        f"{lost_workers} workers lost, lost {lost}{f' ({dict(ends)})' if ends else ''}, twice {twice}, wrong {wrong}; "
        f"{told.resent:,} sent again, {told.late:,} late answers dropped"
    )
    return int(bool(lost or twice or wrong or told.outstanding))


def requests(cuts: int, seed: int, secured: bool) -> int:
    server_security, client_security = security(secured)
    fuses = Fuses(random.Random(seed), cuts)
    with npt.Server(bind=ANY, security=server_security) as server:
        server.register("work", work)
        thread = threading.Thread(target=server.serve)
        thread.start()
        cable = Cable(server.address, fuses=fuses)
        with npt.Client(connect=cable.address, security=client_security) as client:
            code = judge_calls("requests", client, cuts, [cable], fuses, seed)
        server.close()
        thread.join()
        cable.close()
    return code


def workers(cuts: int, seed: int, secured: bool) -> int:
    server_security, client_security = security(secured)
    fuses = Fuses(random.Random(seed), cuts)
    with npt.Broker(frontend=ANY, backend=ANY, interval=0.5, security=server_security) as broker:
        cables = [Cable(address, fuses=fuses) for address in (broker.frontend, broker.backend)]
        crew = [npt.Worker(connect=cables[1].address, interval=0.5, security=client_security) for _ in range(3)]
        threads = [threading.Thread(target=worker.serve) for worker in crew]
        for worker, thread in zip(crew, threads, strict=True):
            worker.register("work", work)
            thread.start()
        with npt.Client(connect=cables[0].address, security=client_security) as client:
            code = judge_calls("workers", client, cuts, cables, fuses, seed)
        for worker in crew:
            worker.close()
        for each in (*threads, *cables):
            each.join() if isinstance(each, threading.Thread) else each.close()
    return code


PARTS = {"publish": publish, "push": push, "requests": requests, "workers": workers}


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--cuts", type=count, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--secured", action="store_true")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="may be repeated; all without")
    options = parser.parse_args()
    logging.disable()
    print(f"seed {options.seed}")
    codes = []
    for name in options.part or PARTS:
        codes.append(PARTS[name](options.cuts, options.seed, options.secured))
        sys.stdout.flush()
    print(f"seed {options.seed}: {'accounts exact' if not any(codes) else 'NOT exact'}")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
