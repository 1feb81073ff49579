"""Strangers at the port: junk connections and handshakes without an allowed key, and a good peer served after each.

    python benchmarks/siege.py --junk 10_000 --handshakes 10_000 --seed 1
    python benchmarks/siege.py --junk 10_000 --open --seed 1               the same at a port without security

A consumer in a process of its own holds the port. Junk is raw bytes: random ones, HTTP, half a greeting, a whole one
with random commands behind it, a first part of a message that never ends, a byte now and then. Up to 200 of such stay
open. Without security there are also messages of small parts without an end. After each a message of a good peer has to
arrive, after every hundredth that of one that has just come. Exit code 1 if one did not, or if anything of a stranger
was taken for a message.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import socket
import sys
import time
from collections import deque
from multiprocessing.connection import Connection

import numpy as np
import repository  # noqa: F401 - for what is imported below
import zmq
from arguments import Parser, whole
from holding import resident

import nptransport as npt

PATIENCE = 10.0
STAY = 200  # connections of strangers that are left open at a time

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
CURVE_GREETING = GREETING.replace(b"NULL\0", b"CURVE")
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"


def hold(channel: Connection, secret: str, allowed: list[str], is_open: bool) -> None:
    """The process at the port: tells of each message, and in the end of itself."""
    security = None if is_open else npt.Curve.server(secret=secret, allowed=allowed)
    limits = npt.Limits(max_total_bytes=2**20)
    with npt.Consumer(bind="tcp://127.0.0.1:0", limits=limits, security=security) as consumer:
        channel.send(consumer.address)
        while True:
            try:
                channel.send(int(consumer.recv(timeout=0.05)))
            except npt.DecodeError:
                pass
            except npt.Timeout:
                if channel.poll(0):
                    channel.recv()
                    break
        statistics = consumer.statistics()
        channel.send((statistics.messages, statistics.malformed, statistics.refusals, statistics.disconnects))


def junk(draw: random.Random, is_open: bool) -> bytes:
    noise = draw.randbytes(draw.choice((1, 10, 100, 10_000)))
    kinds = [
        noise,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise,
        GREETING[: draw.randrange(1, 64)],
        GREETING + noise,
        CURVE_GREETING + noise,
        CURVE_GREETING + b"\x04\xc8\x05HELLO\x01\x00" + draw.randbytes(192),
        GREETING + READY + noise,
        b"\x02" + (2**62).to_bytes(8, "big"),
    ]
    if is_open:
        kinds.append(GREETING + READY + b"\x01\x01x" * draw.choice((10, 1000)))
        kinds.append(GREETING + READY + b"\x03" + (2**40).to_bytes(8, "big") + noise)
    return draw.choice(kinds)


class Siege:
    """A port, good peers, and what came of it."""

    def __init__(self, is_open: bool, seed: int) -> None:
        self._draw = random.Random(seed)
        self._is_open = is_open
        self.server, secret = (key.decode() for key in zmq.curve_keypair())
        self._friend, self._friend_secret = (key.decode() for key in zmq.curve_keypair())
        context = multiprocessing.get_context("spawn")
        self._channel, far = context.Pipe()
        self._process = context.Process(target=hold, args=(far, secret, [self._friend], is_open), daemon=True)
        self._process.start()
        self.address: str = self._channel.recv()
        self._good = self._producer()
        self._sent = self.lost = self.wrong = 0
        self._open: deque[socket.socket] = deque()
        self._dripping: deque[socket.socket] = deque(maxlen=20)
        self.serve()
        assert self._process.pid
        self.pid = self._process.pid
        self.most = self.before = resident(self.pid) / 2**20

    def _producer(self) -> npt.Producer:
        client = None if self._is_open else npt.Curve.client(server=self.server, secret=self._friend_secret)
        return npt.Producer(connect=self.address, security=client)

    def serve(self, *, newcomer: bool = False) -> None:
        """A message of a good peer has to arrive."""
        self._sent += 1
        producer = self._producer() if newcomer else self._good
        try:
            producer.send(np.array(self._sent), timeout=PATIENCE)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if self._channel.poll(PATIENCE):
                    if self._channel.recv() == self._sent:
                        return
                    self.wrong += 1
            self.lost += 1
        finally:
            if newcomer:
                producer.close()

    def throw(self, number: int) -> None:
        """One junk connection."""
        host, port = self.address.removeprefix("tcp://").split(":")
        stranger = socket.create_connection((host, int(port)), PATIENCE)
        with contextlib.suppress(OSError):
            stranger.sendall(junk(self._draw, self._is_open))
        if number % 3:
            stranger.close()
        else:
            self._open.append(stranger)
            if number % 30 == 0:
                self._dripping.append(stranger)
        if len(self._open) > STAY:
            self._open.popleft().close()
        for each in self._dripping:
            with contextlib.suppress(OSError):
                each.send(b"\0")
        self.look(number)

    def look(self, number: int) -> None:
        self.serve(newcomer=number % 100 == 0)
        if number % 100 == 0:
            self.most = max(self.most, resident(self.pid) / 2**20)

    def end(self) -> tuple[int, int, dict[str, int], int]:
        for each in self._open:
            each.close()
        self._good.close()
        self._channel.send("end")
        while not isinstance(last := self._channel.recv(), tuple):
            self.wrong += 1
        self._process.join(PATIENCE)
        return last

    def knock(self, context: zmq.Context[zmq.Socket[bytes]], number: int) -> None:
        """A client of ZeroMQ's with no key, one that is not allowed, or another server's."""
        public, secret = zmq.curve_keypair()
        with context.socket(zmq.PUSH) as intruder, context.socket(zmq.PAIR) as events:
            intruder.linger = 0
            if number % 3:
                server = self.server.encode() if number % 3 == 1 else public
                intruder.curve_serverkey, intruder.curve_publickey, intruder.curve_secretkey = server, public, secret
            ended = zmq.EVENT_DISCONNECTED
            intruder.monitor(f"inproc://knock.{number}", ended)
            events.connect(f"inproc://knock.{number}")
            intruder.connect(self.address)
            with contextlib.suppress(zmq.Again):
                intruder.send_multipart([bytes(each) for each in npt.encode(np.array(-1))], zmq.NOBLOCK)
            if not events.poll(int(PATIENCE * 1000)):
                self.wrong += 1
            intruder.disable_monitor()
        self.look(number)


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--junk", type=whole, default=1000)
    parser.add_argument("--handshakes", type=whole, default=1000)
    parser.add_argument("--open", action="store_true", help="without security, and so without handshakes to refuse")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    siege, started = Siege(options.open, options.seed), time.monotonic()
    for number in range(1, options.junk + 1):
        siege.throw(number)
    handshakes = 0 if options.open else options.handshakes
    with zmq.Context() as context:
        for number in range(1, handshakes + 1):
            siege.knock(context, number)
    messages, malformed, refusals, _ = siege.end()
    good = options.junk + handshakes + 1
    print(f"seed {options.seed}: {options.junk:,} junk connections, {handshakes:,} handshakes of strangers")
    print(f"good peers served {good - siege.lost:,} times of {good:,}; messages of strangers: {siege.wrong}")
    print(f"received {messages:,}, malformed {malformed:,}, refused {dict(sorted(refusals.items()))}")
    print(f"memory {siege.before:.0f} MB before, {siege.most:.0f} MB at the most; {time.monotonic() - started:.0f} s")
    return int(siege.lost > 0 or siege.wrong > 0 or messages != good)


if __name__ == "__main__":
    sys.exit(main())
