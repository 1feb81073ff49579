"""Server and client on one event loop: coroutine functions as handlers, many calls at once."""

import asyncio

import numpy as np

from nptransport.asyncio import Client, Server


async def main() -> None:
    server = Server(bind="tcp://127.0.0.1:*")

    @server.method
    async def fetch(number: int) -> np.ndarray:
        await asyncio.sleep(0.05)  # a database, a camera, another server
        return np.full(3, number)

    serving = asyncio.create_task(server.serve())
    async with Client(connect=server.address) as client:
        tasks = [client.submit("fetch", number, timeout=5) for number in range(10)]
        print([int(array[0]) for array in await asyncio.gather(*tasks)])
        print([int(array[0]) async for array in client.map("fetch", range(10))])
    await server.close()
    await serving


asyncio.run(main())
