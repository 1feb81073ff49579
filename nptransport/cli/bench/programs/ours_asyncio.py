"""The library, awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import numpy as np

from nptransport.asyncio import Client, Consumer, Producer, Server

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

T = TypeVar("T")


async def _take(content: Content, receive: Callable[[], Awaitable[Any]], count: int) -> None:
    """As Content.take."""
    for _ in range(count - 1):
        content.check(await receive())
    content.check_last(await receive())


@contextmanager
def _in_a_loop(make: Callable[[], T]) -> Iterator[tuple[T, Callable[[Awaitable[None]], None]]]:
    """What ``make`` makes within an event loop, and what awaits there."""

    async def begin() -> T:
        return make()

    loop = asyncio.new_event_loop()
    try:
        yield loop.run_until_complete(begin()), loop.run_until_complete
    finally:
        loop.close()


@contextmanager
def serve_safe(task: Task) -> Iterator[Side]:
    content = task.content
    with _in_a_loop(lambda: Consumer(bind=task.address, max_messages=task.most_waiting)) as (consumer, wait):
        yield Side(consumer.address, lambda count: wait(_take(content, consumer.recv, count)))


serve_lent = serve_loan = serve_safe


@contextmanager
def _drive(task: Task, send: Callable[[Producer, Content], Awaitable[Any]]) -> Iterator[Side]:
    content = task.content

    def make() -> Producer:
        return Producer(connect=task.address, max_messages=task.most_waiting, max_bytes=task.budget)

    async def burst(producer: Producer, count: int) -> None:
        for _ in range(count):
            await send(producer, content)

    with _in_a_loop(make) as (producer, wait):
        yield Side("", lambda count: wait(burst(producer, count)))


def drive_safe(task: Task) -> AbstractContextManager[Side]:
    return _drive(task, lambda producer, content: producer.send(next(content)))


def drive_lent(task: Task) -> AbstractContextManager[Side]:
    return _drive(task, lambda producer, content: producer.send(next(content), copy=False))


def drive_loan(task: Task) -> AbstractContextManager[Side]:
    shape = (task.nbytes // 8,)

    async def send(producer: Producer, content: Content) -> None:
        async with producer.loan(shape, np.uint64) as array:
            content.write(array)

    return _drive(task, send)


async def _echo(array: Array) -> Array:
    return array


@contextmanager
def serve_roundtrip(task: Task) -> Iterator[Side]:
    with _in_a_loop(lambda: Server(bind=task.address, max_bytes=task.budget)) as (server, wait):
        server.register("echo", _echo)
        threading.Thread(target=lambda: wait(server.serve()), daemon=True).start()
        yield Side(server.address, lambda count: None)


@contextmanager
def drive_roundtrip(task: Task) -> Iterator[Side]:
    content = task.content
    with _in_a_loop(lambda: Client(connect=task.address, max_bytes=task.budget)) as (client, wait):
        yield Side("", lambda count: wait(_take(content, lambda: client.call("echo", next(content)), count)))
