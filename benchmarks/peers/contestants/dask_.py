"""Dask's comm, on which its workers exchange data: to_serialize for the array, and "OK" in answer, as they do.

A write returns before its data has left, hence four arrays in turn, each written to again once it was answered.
"""

from __future__ import annotations

import asyncio

from distributed.comm import connect, listen
from distributed.protocol import to_serialize

from peers.peer import Peer, tcp
from peers.work import Sink, Source

UNANSWERED = 3


def send(address: str, source: Source) -> None:
    asyncio.run(sending(address, source))


async def sending(address: str, source: Source) -> None:
    source.wait()
    comm = await connect(address)
    unanswered = 0
    for array in source.arrays(ring=UNANSWERED + 1):
        await comm.write({"op": "array", "data": to_serialize(array)})
        unanswered += 1
        if unanswered > UNANSWERED:
            await comm.read()
            unanswered -= 1
    for _ in range(unanswered):
        await comm.read()
    await comm.close()


def receive(address: str, sink: Sink) -> None:
    asyncio.run(receiving(address, sink))


async def receiving(address: str, sink: Sink) -> None:
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handle(comm: object) -> None:
        try:
            while not sink.full:
                sink.take((await comm.read())["data"])
                await comm.write("OK")
        except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    async with listen(address, handle):
        sink.ready()
        await outcome


PEERS = [Peer("Dask's comm, tcp", "to_serialize, answered, four arrays in turn", tcp, send, receive)]
