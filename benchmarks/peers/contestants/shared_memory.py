"""Shared memory by hand: a ring of slots in a SharedMemory, a Semaphore of free ones, a Pipe that says what is in one.

The receiver gets a view, which has to be given back before the next. Nothing is checked, and nobody recovers a slot of
a process that has died.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from peers.peer import Peer, Place
from peers.work import Sink, Source

SPAWN = multiprocessing.get_context("spawn")
SLOTS = 4


def ring(place: Place) -> Any:
    """Name, semaphore, reader and writer."""
    memory = SharedMemory(create=True, size=SLOTS * place.work.nbytes)
    place.closing.callback(memory.unlink)
    place.closing.callback(memory.close)
    reader, writer = SPAWN.Pipe(duplex=False)
    place.closing.enter_context(reader)
    place.closing.enter_context(writer)
    return memory.name, SPAWN.Semaphore(SLOTS), reader, writer


def send(ring: Any, source: Source) -> None:
    name, free, _, writer = ring
    memory = SharedMemory(name)
    shape, nbytes = source.work.shape, source.work.nbytes
    slots = [np.ndarray(shape, np.int64, memory.buf, slot * nbytes) for slot in range(SLOTS)]
    for number, array in enumerate(source.arrays()):
        free.acquire()
        np.copyto(slots[number % SLOTS], array)
        writer.send((number % SLOTS, array.dtype.str, array.shape))
    del slots
    memory.close()


def receive(ring: Any, sink: Sink) -> None:
    name, free, reader, _ = ring
    memory = SharedMemory(name)
    while not sink.full:
        slot, dtype, shape = reader.recv()
        array = np.ndarray(shape, dtype, memory.buf, slot * sink.work.nbytes)
        sink.take(array)
        del array
        free.release()
    memory.close()


PEERS = [Peer("SharedMemory by hand", "one copy into a ring of 4 slots, a view out of it", ring, send, receive)]
