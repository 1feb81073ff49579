"""multiprocessing.Queue: its thread pickles after put has returned, so that what is put must not be changed: a copy."""

from __future__ import annotations

import multiprocessing
from typing import Any

from peers.peer import Peer, Place
from peers.work import Sink, Source

SPAWN = multiprocessing.get_context("spawn")


def queue(place: Place) -> Any:
    return SPAWN.Queue(max(2, min(1000, 64_000_000 // place.work.nbytes)))


def send(queue: Any, source: Source) -> None:
    for array in source.arrays():
        queue.put(array.copy())
    queue.close()
    queue.join_thread()


def receive(queue: Any, sink: Sink) -> None:
    while not sink.full:
        sink.take(queue.get())


PEERS = [Peer("Queue", "put of a copy and get, as many as fit 64 MB", queue, send, receive)]
