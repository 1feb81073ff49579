"""What a worker does besides serving: makes itself known to a broker, and is heard of while it works."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Any

import zmq

from ..codec.encoder import Encoder
from ..errors import AddressError, ConnectionClosed
from ..limits import Limits
from ..protocol.desk import Task
from ..protocol.words import MISSES, check_interval
from ..transport.addresses import Addresses
from ..transport.channel import Channel
from ..transport.curve import Curve
from ..transport.steps import STOOD_STILL
from .handling import Answer
from .serving import SLICE, Serving

__all__ = ["INTERVAL", "Working"]

INTERVAL = 1.0  # seconds between two words to the broker, and from it


class Working(Serving):
    """The side of a worker that faces the broker; the thread, or the loop, that serves uses the socket."""

    def _open(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None,
    ) -> Channel:
        if bind is not None or (connect is not None and not isinstance(connect, str) and len(list(connect)) != 1):
            raise AddressError("a worker connects to the one address of its broker's backend", address=str(connect))
        self._heard = self._spoke = self._tended = time.monotonic()
        self._lost = 0
        self._registered = False
        return channel(
            zmq.DEALER,
            None,
            connect,
            max_messages=max_messages,
            max_part_bytes=limits.max_total_bytes,
            options={zmq.ROUTING_ID: b"w" + os.urandom(16), zmq.IMMEDIATE: 1, zmq.RECONNECT_IVL_MAX: 1000},
            context=context,
            security=security,
            names=("", "connect"),
        )

    def _introduce(self, name: str | None, interval: float, limits: Limits) -> None:
        check_interval(interval)
        self._name = name if name is not None else f"{socket.gethostname()}:{os.getpid()}"
        self._interval = interval
        self._encoder = Encoder(limits)
        self._broker: str | None = None
        self._patience = MISSES * max(interval, INTERVAL)  # seconds of the broker's silence

    # What the broker says

    def _has_room(self) -> bool:
        return True  # it gives no more than was asked for

    def _take(self, first: bytes) -> Task | None:
        return self._heed(b"", first, self._channel.take_one())

    def _read(self, peer: bytes, head: bytes, metadata: bytes) -> Task | None:
        self._heard = time.monotonic()
        kind, fields, number = self._reader.read(head)
        if kind == "task":
            client, attempt, method, form = fields
            letter, nbytes = self._fetch_arguments(metadata, len(head))
            return Task(peer, client, number, attempt, method, form, letter, nbytes)
        if kind == "drop":
            client, attempt = fields
            if self._desk.cancel((client, number)) is not None:
                self._channel.try_send([self._writer.about(number, "returned", client, attempt)])
        elif kind == "who":
            self._registered = False
        elif kind == "here":
            if self._broker not in (None, fields[0]):
                self._registered = False
            self._broker = fields[0]
            self._patience = MISSES * max(self._interval, fields[1])
        return None

    def _front(self, answer: Answer) -> list[bytes]:
        task = answer.task
        kind = "done" if answer.kind == "result" else "failed"
        return [self._writer.about(task.number, kind, task.client, task.attempt)]

    # What it says by itself

    def _begin_serving(self) -> None:
        self._registered = False
        self._heard = self._tended = time.monotonic()

    def _tend(self) -> None:
        connections, now = self._channel.connections, time.monotonic()
        if now - self._tended > SLICE + STOOD_STILL:
            self._heard = now  # this process stood still: what has come meanwhile is about to be read
        self._tended = now
        if now - self._spoke < self._interval / 2 and self._registered:
            return
        connections.refresh()
        if connections.disconnects != self._lost:
            self._lost = connections.disconnects
            self._registered = False
        if now - self._heard > self._patience:
            self._take_in()  # while the last handlers finish nobody has looked
        if now - self._heard > self._patience:
            self._heard = now
            if connections.count:
                told = "%s: nothing heard of the broker any more, connecting anew"
                self._channel.complaints.say(told, self._channel)
                self._channel.reconnect_all()
                self._lost = connections.disconnects
            self._registered = False
        if self._registered:
            if self._channel.try_send([self._writer.word("beat")]):
                self._spoke = now
        elif not self._stopping:
            self._register(now)

    def _register(self, now: float) -> None:
        self._desk.clear()  # what it had given us, it has given to others
        word = self._writer.word("ready", self._name, self._threads, self._interval)
        methods = self._encoder.encode(self._methods.signatures)
        if self._channel.try_send([word, *methods]):
            self._registered, self._spoke = True, now

    def _begin_to_leave(self) -> None:
        self._channel.try_send([self._writer.word("leaving")])
        for task in self._desk.clear():
            self._channel.try_send([self._writer.about(task.number, "returned", task.client, task.attempt)])

    def _before_the_end(self) -> None:
        with contextlib.suppress(ConnectionClosed):  # the context has been terminated: they hear of it by that
            self._channel.try_send([self._writer.word("goodbye")])
