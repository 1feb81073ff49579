"""Over shm://, where somebody is in the way: tasks that send at one time, and loans that end in an error."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import numpy as np
import pytest
from children import PATIENCE
from faces import needs_shm, shm_address_fixture  # noqa: F401

import nptransport as npt
import nptransport.asyncio

pytestmark = needs_shm

MB = 2**20
TASKS, EACH = 6, 40
SIZES = {"large": [400_000], "large and small": [400, 400_000, 40_000], "of all sizes": [400, 40_000, 4_000_000]}
ROOM = {"much": {}, "little": {"max_bytes": 4 * MB}, "little, for few": {"max_bytes": 4 * MB, "max_messages": 1}}


@pytest.mark.parametrize("room", ROOM.values(), ids=ROOM)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_tasks_that_send_at_one_time_are_numbered_in_the_order_of_their_messages(address, sizes, room):
    draw = random.Random(7)
    got = []

    async def send(producer, task):
        for number in range(EACH):
            await producer.send(np.full(draw.choice(sizes) // 8, 1000 * task + number))

    async def receive(consumer):
        while len(got) < TASKS * EACH:
            message = await consumer.recv_message(timeout=PATIENCE)
            got.append((message.sequence, int(message.payload[0])))
            del message
            if draw.random() < 0.3:
                await asyncio.sleep(0.001)  # so that senders find no room, now and then

    async def exchange():
        async with (
            npt.asyncio.Consumer(bind=address, max_messages=4) as consumer,
            npt.asyncio.Producer(connect=address, **room) as producer,
        ):
            await asyncio.gather(receive(consumer), *(send(producer, task) for task in range(TASKS)))
            assert consumer.statistics().missed == 0
            assert consumer.statistics().nbytes == producer.statistics().nbytes

    asyncio.run(exchange())
    assert [sequence for sequence, _ in got] == list(range(TASKS * EACH))
    for task in range(TASKS):
        numbers = [value % 1000 for _, value in got if value // 1000 == task]
        assert all(before < after for before, after in pairwise(numbers))


def test_a_loan_that_another_thread_is_in_the_way_of_comes_back(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address, max_bytes=4 * MB) as producer:
        for _ in range(3):
            with producer.loan(MB, "u1"):
                pass
            consumer.recv(timeout=PATIENCE)
        for _ in range(20):
            producer._channel.enter()  # as a thread within send
            try:
                with pytest.raises(npt.MisuseError), producer.loan(MB, "u1"):
                    pass
            finally:
                producer._channel.leave()
        assert "all free" in producer._lender.situation()
        producer.send(np.full(MB, 7, "u1"), timeout=PATIENCE)
        assert consumer.recv(timeout=PATIENCE)[0] == 7


def test_a_loan_that_is_cancelled_comes_back(address):
    async def lend(producer):
        async with producer.loan(MB, "u1"):
            producer._channel._operations = 63  # when others have their turn before anything is done

    async def exchange():
        async with (
            npt.asyncio.Consumer(bind=address) as consumer,
            npt.asyncio.Producer(connect=address, max_bytes=8 * MB) as producer,
        ):
            for _ in range(3):
                await producer.send(np.zeros(MB, "u1"))
                await consumer.recv(timeout=PATIENCE)
            for _ in range(20):
                task = asyncio.ensure_future(lend(producer))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert "all free" in producer._lender.situation()
            await producer.send(np.full(MB, 7, "u1"), timeout=PATIENCE)
            assert (await consumer.recv(timeout=PATIENCE))[0] == 7

    asyncio.run(exchange())
