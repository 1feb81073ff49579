"""A publisher and two subscribers in one event loop: python examples/asyncio_publish.py"""

import asyncio

import numpy as np

from nptransport.asyncio import Publisher, Subscriber


async def publish(publisher: Publisher) -> None:
    await publisher.wait_for_subscribers(2, topic="spectrum", timeout=10)
    for number in range(200):
        await publisher.send(np.full(4096, number, np.float32), topic="spectrum")
        await asyncio.sleep(0.005)
    await publisher.send(None, topic="spectrum")  # the end: anything that a payload can be


async def watch(name: str, address: str, *, latest: bool, pause: float) -> None:
    async with Subscriber(connect=address, topics="spectrum", latest=latest) as subscriber:
        async for spectrum in subscriber:
            if spectrum is None:
                break
            await asyncio.sleep(pause)
        statistics = subscriber.statistics()
    print(f"{name}: received {statistics.received - 1}, skipped {statistics.skipped}, missed {statistics.missed}")


async def main() -> None:
    async with Publisher(bind="tcp://127.0.0.1:*") as publisher:
        await asyncio.gather(
            publish(publisher),
            watch("recorder", publisher.address, latest=False, pause=0),
            watch("display", publisher.address, latest=True, pause=0.1),
        )


asyncio.run(main())
