"""pyzmq as people write it by hand: a JSON header and the array. Nothing is checked, numbered or counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import zmq

from ..content import Array
from .side import Side, Task, Unavailable

__all__ = [
    "drive_multipart",
    "drive_parts",
    "drive_roundtrip",
    "serve_multipart",
    "serve_parts",
    "serve_roundtrip",
]

_Socket = Any  # zmq.Socket; its stubs know copy only as a literal


@contextmanager
def _bound(task: Task, kind: int) -> Iterator[tuple[_Socket, str]]:
    with _socket(task, kind) as bound:
        try:
            bound.bind(task.address)
        except zmq.ZMQError as error:
            raise Unavailable(f"{task.address.partition('://')[0]}: {error}") from None
        yield bound, bound.last_endpoint.rstrip(b"\0").decode()


@contextmanager
def _connected(task: Task, kind: int) -> Iterator[_Socket]:
    with _socket(task, kind) as connected:
        connected.connect(task.address)
        yield connected


@contextmanager
def _socket(task: Task, kind: int) -> Iterator[_Socket]:
    with zmq.Context() as context, context.socket(kind) as created:
        created.linger = 0
        created.set_hwm(task.most_waiting)
        yield created


def _header(array: Array) -> bytes:
    return json.dumps({"dtype": array.dtype.str, "shape": array.shape}).encode()


def _array(header: bytes, part: Any) -> Array:
    described = json.loads(header)
    return np.frombuffer(part, described["dtype"]).reshape(described["shape"])


@contextmanager
def serve_multipart(task: Task) -> Iterator[Side]:
    content, copy = task.content, task.copy
    with _bound(task, zmq.PULL) as (puller, address):

        def receive() -> Array:
            header, part = puller.recv_multipart(copy=copy)
            return _array(header if copy else header.bytes, part)

        yield Side(address, lambda count: content.take(receive, count))


@contextmanager
def drive_multipart(task: Task) -> Iterator[Side]:
    content, copy = task.content, task.copy
    with _connected(task, zmq.PUSH) as pusher:

        def burst(count: int) -> None:
            for _ in range(count):
                array = next(content)
                pusher.send_multipart([_header(array), array], copy=copy)

        yield Side("", burst)


@contextmanager
def serve_parts(task: Task) -> Iterator[Side]:
    content, copy = task.content, task.copy
    with _bound(task, zmq.PULL) as (puller, address):

        def receive() -> Array:
            return _array(puller.recv(), puller.recv(copy=copy))

        yield Side(address, lambda count: content.take(receive, count))


@contextmanager
def drive_parts(task: Task) -> Iterator[Side]:
    content, copy = task.content, task.copy
    with _connected(task, zmq.PUSH) as pusher:

        def burst(count: int) -> None:
            for _ in range(count):
                array = next(content)
                pusher.send(_header(array), zmq.SNDMORE)
                pusher.send(array, copy=copy)

        yield Side("", burst)


@contextmanager
def serve_roundtrip(task: Task) -> Iterator[Side]:
    copy = task.copy
    with _bound(task, zmq.ROUTER) as (router, address):

        def burst(count: int) -> None:
            for _ in range(count):
                router.send_multipart(router.recv_multipart(copy=copy), copy=copy)

        yield Side(address, burst)


@contextmanager
def drive_roundtrip(task: Task) -> Iterator[Side]:
    content, copy = task.content, task.copy
    with _connected(task, zmq.DEALER) as dealer:

        def receive() -> Array:
            array = next(content)
            dealer.send(_header(array), zmq.SNDMORE)
            dealer.send(array, copy=copy)
            return _array(dealer.recv(), dealer.recv(copy=copy))

        yield Side("", lambda count: content.take(receive, count))
