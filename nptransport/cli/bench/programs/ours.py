"""The library, as its users call it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

import nptransport as npt

from ..content import Array, Content
from .side import Side, Task

__all__ = [
    "drive_lent",
    "drive_loan",
    "drive_roundtrip",
    "drive_safe",
    "serve_lent",
    "serve_loan",
    "serve_roundtrip",
    "serve_safe",
]


@contextmanager
def serve_safe(task: Task) -> Iterator[Side]:
    content = task.content
    with npt.Consumer(bind=task.address, max_messages=task.most_waiting) as consumer:
        yield Side(consumer.address, lambda count: content.take(consumer.recv, count))


serve_lent = serve_loan = serve_safe


@contextmanager
def _drive(task: Task, send: Callable[[npt.Producer, Content], object]) -> Iterator[Side]:
    content = task.content
    with npt.Producer(connect=task.address, max_messages=task.most_waiting, max_bytes=task.budget) as producer:

        def burst(count: int) -> None:
            for _ in range(count):
                send(producer, content)

        yield Side("", burst)


def drive_safe(task: Task) -> AbstractContextManager[Side]:
    return _drive(task, lambda producer, content: producer.send(next(content)))


def drive_lent(task: Task) -> AbstractContextManager[Side]:
    return _drive(task, lambda producer, content: producer.send(next(content), copy=False))


def drive_loan(task: Task) -> AbstractContextManager[Side]:
    shape = (task.nbytes // 8,)

    def send(producer: npt.Producer, content: Content) -> None:
        with producer.loan(shape, np.uint64) as array:
            content.write(array)

    return _drive(task, send)


def _echo(array: Array) -> Array:
    return array


@contextmanager
def serve_roundtrip(task: Task) -> Iterator[Side]:
    with npt.Server(bind=task.address, max_bytes=task.budget) as server:
        server.register("echo", _echo)
        threading.Thread(target=server.serve, daemon=True).start()
        yield Side(server.address, lambda count: None)


@contextmanager
def drive_roundtrip(task: Task) -> Iterator[Side]:
    content = task.content
    with npt.Client(connect=task.address, max_bytes=task.budget) as client:
        yield Side("", lambda count: content.take(lambda: client.call("echo", next(content)), count))
