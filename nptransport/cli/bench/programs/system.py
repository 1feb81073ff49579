"""The limits: what the machine does without anybody's protocol, into memory that has been touched before."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

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
def _listening(task: Task, burst: Callable[[socket.socket, int], None]) -> Iterator[Side]:
    """The side that waits: ``burst`` with the connection of the one that comes."""
    listener, path = task.unix()
    accepted: list[socket.socket] = []

    def accept_and_burst(count: int) -> None:
        if not accepted:
            accepted.append(listener.accept()[0])
        burst(accepted[0], count)

    with listener:
        listener.bind(path)
        listener.listen()
        yield Side(task.address, accept_and_burst)


@contextmanager
def _connected(task: Task) -> Iterator[socket.socket]:
    connection, path = task.unix()
    with connection:
        connection.connect(path)
        yield connection


def serve_stream(task: Task) -> AbstractContextManager[Side]:
    content, array = task.content, np.zeros(task.nbytes // 8, np.uint64)

    def burst(connection: socket.socket, count: int) -> None:
        content.take(lambda: _fill(connection, array), count)

    return _listening(task, burst)


@contextmanager
def drive_stream(task: Task) -> Iterator[Side]:
    content = task.content
    with _connected(task) as connection:

        def burst(count: int) -> None:
            for _ in range(count):
                connection.sendall(next(content).data)

        yield Side("", burst)


def serve_roundtrip(task: Task) -> AbstractContextManager[Side]:
    array = np.zeros(task.nbytes // 8, np.uint64)

    def burst(connection: socket.socket, count: int) -> None:
        for _ in range(count):
            connection.sendall(_fill(connection, array).data)

    return _listening(task, burst)


@contextmanager
def drive_roundtrip(task: Task) -> Iterator[Side]:
    content, array = task.content, np.zeros(task.nbytes // 8, np.uint64)
    with _connected(task) as connection:

        def receive() -> Array:
            connection.sendall(next(content).data)
            return _fill(connection, array)

        yield Side("", lambda count: content.take(receive, count))
