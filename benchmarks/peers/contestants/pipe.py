"""multiprocessing.Pipe: with send and recv, which pickle, and with send_bytes and recv_bytes_into, for buffers.

The second says dtype and shape with send first. What it receives is overwritten by the next.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

import numpy as np

from peers.peer import Peer, Place
from peers.work import Sink, Source

SPAWN = multiprocessing.get_context("spawn")


def ends(place: Place) -> Any:
    """Reader and writer."""
    reader, writer = SPAWN.Pipe()
    place.closing.enter_context(reader)
    place.closing.enter_context(writer)
    return reader, writer


def send(ends: Any, source: Source) -> None:
    for array in source.arrays():
        ends[1].send(array)


def receive(ends: Any, sink: Sink) -> None:
    while not sink.full:
        sink.take(ends[0].recv())


def send_bytes(ends: Any, source: Source) -> None:
    for array in source.arrays():
        ends[1].send((str(array.dtype), array.shape))
        ends[1].send_bytes(array)


def receive_bytes(ends: Any, sink: Sink) -> None:
    array = np.empty(0)
    while not sink.full:
        dtype, shape = ends[0].recv()
        if array.dtype != dtype or array.shape != shape:
            array = np.empty(shape, dtype)
        ends[0].recv_bytes_into(memoryview(array).cast("B"))
        sink.take(array)


PEERS = [
    Peer("Pipe", "send and recv, which pickle", ends, send, receive),
    Peer("Pipe, send_bytes", "send_bytes and recv_bytes_into one array", ends, send_bytes, receive_bytes),
]
