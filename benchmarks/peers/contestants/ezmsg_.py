"""ezmsg: publisher and subscriber of its low-level API, through shared memory, received with recv_zero_copy."""

from __future__ import annotations

import asyncio
import logging
import socket

from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphserver import GraphServer

from peers.peer import Peer, Place
from peers.work import Sink, Source

Address = tuple[str, int]


def graph(place: Place) -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address: Address = probe.getsockname()
    logging.getLogger("ezmsg").setLevel(logging.WARNING)
    server = GraphServer()
    server.start(address)
    place.closing.callback(server.stop)
    return address


def send(address: Address, source: Source) -> None:
    asyncio.run(sending(address, source))


async def sending(address: Address, source: Source) -> None:
    source.wait()
    buffers = max(2, min(32, 256_000_000 // source.work.nbytes))  # 32 by default
    async with GraphContext(address) as context:
        publisher = await context.publisher("arrays", num_buffers=buffers, buf_size=2 * source.work.nbytes)
        for array in source.arrays():
            await publisher.broadcast(array)
        await asyncio.to_thread(source.stay)


def receive(address: Address, sink: Sink) -> None:
    asyncio.run(receiving(address, sink))


async def receiving(address: Address, sink: Sink) -> None:
    async with GraphContext(address) as context:
        subscriber = await context.subscriber("arrays")
        sink.ready()
        while not sink.full:
            async with subscriber.recv_zero_copy() as array:
                sink.take(array)
                del array  # or its memory could not be unmapped at the end


PEERS = [
    Peer(
        "ezmsg, shared memory", "broadcast, and recv_zero_copy: a view for as long as it is read", graph, send, receive
    )
]
