"""The limits: what the machine does without anybody's protocol, into memory that has been touched before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..content import Array
from .side import Side, Task

__all__ = ["drive_memcpy", "drive_roundtrip", "drive_stream", "serve_roundtrip", "serve_stream"]


def _fill(connection: socket.socket, array: Array) -> Array:
    view = array.data.cast("B")
    at = 0
    while at < len(view):
        count = connection.recv_into(view[at:])
        if not count:
            raise ConnectionError("the other side has gone")
        at += count
    return array


@contextmanager
def drive_memcpy(task: Task) -> Iterator[Side]:
    """Within one process, on one core."""
    content, target = task.content, np.zeros(task.nbytes // 8, np.uint64)

    def receive() -> Array:
        np.copyto(target, next(content))
        return target

    yield Side("", lambda count: content.take(receive, count))


@contextmanager
def serve_stream(task: Task) -> Iterator[Side]:
    listener, path = task.unix()
    content, array = task.content, np.zeros(task.nbytes // 8, np.uint64)
    accepted: list[socket.socket] = []

    def burst(count: int) -> None:
        if not accepted:
            accepted.append(listener.accept()[0])
        content.take(lambda: _fill(accepted[0], array), count)

    with listener:
        listener.bind(path)
        listener.listen()
        yield Side(task.address, burst)


@contextmanager
def drive_stream(task: Task) -> Iterator[Side]:
    connection, path = task.unix()
    content = task.content

    def burst(count: int) -> None:
        for _ in range(count):
            connection.sendall(next(content).data)

    with connection:
        connection.connect(path)
        yield Side("", burst)


@contextmanager
def serve_roundtrip(task: Task) -> Iterator[Side]:
    listener, path = task.unix()
    array = np.zeros(task.nbytes // 8, np.uint64)
    accepted: list[socket.socket] = []

    def burst(count: int) -> None:
        if not accepted:
            accepted.append(listener.accept()[0])
        for _ in range(count):
            accepted[0].sendall(_fill(accepted[0], array).data)

    with listener:
        listener.bind(path)
        listener.listen()
        yield Side(task.address, burst)


@contextmanager
def drive_roundtrip(task: Task) -> Iterator[Side]:
    connection, path = task.unix()
    content, array = task.content, np.zeros(task.nbytes // 8, np.uint64)

    def receive() -> Array:
        connection.sendall(next(content).data)
        return _fill(connection, array)

    with connection:
        connection.connect(path)
        yield Side("", lambda count: content.take(receive, count))
