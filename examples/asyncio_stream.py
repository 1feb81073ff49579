"""Producer and consumer in one event loop: python examples/asyncio_stream.py"""

import asyncio

import numpy as np

from nptransport.asyncio import Consumer, Producer


async def produce(address: str) -> None:
    async with Producer(connect=address) as producer:
        for number in range(100):
            await producer.send(np.full((480, 640), number, np.float32), timeout=10)


async def main() -> None:
    async with Consumer(bind="tcp://127.0.0.1:*") as consumer:
        producing = asyncio.create_task(produce(consumer.address))
        total = 0.0
        for _ in range(100):
            message = await consumer.recv_message(timeout=10)
            total += float(message.payload.mean())
        await producing
    print(f"received 100 frames, the means add up to {total:.0f}")


asyncio.run(main())
