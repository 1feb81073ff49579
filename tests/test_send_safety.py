"""What sending promises: memory is the sender's again, a message goes whole or not at all, cancelling loses none."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import resource
import threading
import weakref

import numpy as np
import pytest
import zmq
import zmq.asyncio
from faces import PATIENCE, address_fixture, as_zmq_knows_it, face_fixture, sockets_fixture, wait_until, wire_fixture  # noqa: F401

import nptransport as npt
import nptransport.asyncio

# Whose memory it is


@pytest.mark.parametrize("size", [100, 64 * 1024, 1024 * 1024])
def test_a_sent_array_may_be_changed(face, address, size):
    producer, consumer = face.pair(address)
    array, other = np.empty(size, "u1"), np.empty(size, "u1")
    for index in range(50):
        array[:] = other[:] = index
        producer.send(array)
        array[:] = 255
        producer.send({"array": array, "other": other})
        array[:] = other[:] = 254
    for index in range(50):
        assert (consumer.recv() == index).all()
        nest = consumer.recv()
        assert (nest["array"] == 255).all()
        assert (nest["other"] == index).all()


@pytest.mark.parametrize("size", [64 * 1024, 1024 * 1024])
def test_a_lent_array_is_free_when_the_handle_says_so(face, address, size):
    absent = face.consumer(bind=address)
    absent.close()
    producer = face.producer(connect=absent.address)
    array = np.arange(size)
    handle = producer.send([array, array], copy=False)
    if address.startswith("shm"):
        assert handle.done  # it lies in shared memory by now, and is the caller's own here
        array[:] = -1
        received = face.consumer(bind=producer.address).recv()
        assert all(np.array_equal(part, np.arange(size)) for part in received)
        return
    with pytest.raises(npt.Timeout, match=r"still in use after 0\.05 s") as caught:
        handle.wait(0.05)
    assert caught.value.seconds == 0.05
    assert not handle.done
    consumer = face.consumer(bind=producer.address)
    received = consumer.recv()
    assert all(np.array_equal(part, array) for part in received)
    if address.startswith("inproc"):
        assert not handle.done  # the receiver reads the very same memory
    del received
    handle.wait(PATIENCE)
    assert handle.done


def test_small_arrays_are_not_lent(face, address):
    producer, _ = face.pair(address)
    for _ in range(2):
        producer.send(np.zeros(10), copy=False).wait(0)


@pytest.mark.parametrize("count", [1, 100])
def test_a_consumer_may_leave_at_any_moment(wire, count):
    """Also between two parts of a message, which then goes to the next consumer; its memory is lent until then."""
    if wire.startswith("shm"):
        count = min(count, 4)  # small enough to be in the message: the consumers here are ZeroMQ's own
    producer = npt.Producer(bind=wire)
    enough = threading.Event()

    def come_and_go():
        with zmq.Context() as context:
            while not enough.is_set():
                with context.socket(zmq.PULL) as socket:
                    socket.connect(as_zmq_knows_it(producer.address))
                    for _ in range(5):
                        if socket.poll(100):
                            socket.recv_multipart()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        while producer.statistics().disconnects < 100:
            array = np.zeros(1000)
            lent = weakref.ref(array)
            handle = producer.send(array if count == 1 else [array] * count, copy=False, timeout=PATIENCE)
            del array
            if handle.done:
                wait_until(lambda lent=lent: lent() is None)
    finally:
        enough.set()
        thread.join()
        producer.close(linger=0)


def test_copies_go_into_warm_buffers(face):
    """Fresh memory costs a page fault for every page. Over inproc:// the consumer adds none of its own."""
    producer, consumer = face.pair("inproc://warm")
    frame = np.ones(1024 * 1024, "u1")

    def faults_of(count):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(count):
            producer.send(frame)
            assert consumer.recv()[-1] == 1
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults_of(10)
    assert faults_of(300) < 300 * frame.nbytes / resource.getpagesize() / 4  # now and then one comes back too late


# Whole or not at all


def test_what_cannot_travel_leaves_nothing_behind(face, address):
    producer, consumer = face.pair(address)
    for bad in (object(), np.array([None]), [np.zeros(10), {1, 2}], {"a": np.zeros(100_000), "b": print}):
        for copy in (True, False):
            with pytest.raises(npt.EncodeError):
                producer.send(bad, copy=copy)
    producer.send([np.arange(3), "whole"])
    message = consumer.recv_message()
    assert message.payload[0].tolist() == [0, 1, 2]
    assert (message.payload[1], message.sequence) == ("whole", 0)


# In place of pyzmq's recipe


def test_the_arguments_are_those_of_the_recipe():
    assert list(inspect.signature(npt.send_array).parameters)[2:5] == ["flags", "copy", "track"]
    assert list(inspect.signature(npt.recv_array).parameters)[:4] == ["socket", "flags", "copy", "track"]


@pytest.mark.parametrize("copy", [True, False])
def test_a_program_that_spells_the_recipe_out(sockets, copy):
    left, right = sockets(zmq.PAIR, zmq.PAIR)
    for _ in range(2):
        npt.send_array(left, np.arange(3), 0, copy, False)
    assert npt.recv_array(right, 0, copy, False).tolist() == [0, 1, 2]
    assert npt.recv_array(right, flags=0, copy=copy, track=False).tolist() == [0, 1, 2]


def test_what_fails_leaves_nothing_in_the_socket(sockets):
    left, right = sockets(zmq.PAIR, zmq.PAIR)
    with pytest.raises(npt.EncodeError):
        npt.send_array(left, [np.zeros(10), object()])
    with pytest.raises(zmq.Again):
        npt.recv_array(right, zmq.NOBLOCK)
    npt.send_array(left, np.arange(3))
    assert npt.recv_array(right).tolist() == [0, 1, 2]


@pytest.mark.parametrize("copy", [True, False, None])
def test_the_tracker(sockets, copy):
    left, right = sockets(zmq.PAIR, zmq.PAIR)
    array = np.arange(100_000)
    tracker = npt.send_array(left, [array, array], 0, copy, True)
    received = npt.recv_array(right)
    assert np.array_equal(received[1], array)
    del received
    tracker.wait(PATIENCE)
    assert tracker.done
    assert npt.send_array(left, array) is None


def test_parts_of_your_own_behind(sockets):
    left, right = sockets(zmq.PAIR, zmq.PAIR)
    npt.send_array(left, np.arange(3), zmq.SNDMORE)
    npt.send_array(left, [np.arange(4), "two"], flags=zmq.SNDMORE)
    left.send(b"end")
    assert npt.recv_array(right).tolist() == [0, 1, 2]
    assert npt.recv_array(right)[0].tolist() == [0, 1, 2, 3]
    assert (right.recv(), right.get(zmq.RCVMORE)) == (b"end", 0)


def test_parts_of_your_own_in_front(sockets):
    server, client = sockets(zmq.ROUTER, zmq.REQ)
    for size in (3, 100_000):
        npt.send_array(client, np.arange(size))
        client_id, empty = server.recv(), server.recv()
        answer = npt.recv_array(server) * 2
        server.send_multipart([client_id, empty], zmq.SNDMORE)
        npt.send_array(server, answer, copy=False)
        assert np.array_equal(npt.recv_array(client), np.arange(size) * 2)


@pytest.mark.parametrize("topic", [b"camera", "\ud800", 7])
def test_a_topic_that_is_no_text_is_refused(sockets, topic):
    left, right = sockets(zmq.PUSH, zmq.PULL)
    with pytest.raises(npt.EncodeError) as caught:
        npt.send_array(left, np.arange(3), topic=topic)
    assert caught.value.path == "topic"
    npt.send_array(left, np.arange(4))
    assert len(npt.recv_array(right)) == 4


def test_topics(sockets):
    publisher, subscriber = sockets(zmq.XPUB, zmq.SUB)
    subscriber.subscribe("camera/")
    assert publisher.recv() == b"\x01camera/"
    for index, topic in enumerate(["log", "camera/left", "cam", "camera/right", None, "camera/"]):
        npt.send_array(publisher, np.array(index), topic=topic)
    assert [int(npt.recv_array(subscriber)) for _ in range(3)] == [1, 3, 5]


# asyncio


def run(main):
    asyncio.run(asyncio.wait_for(main, PATIENCE))


def test_two_tasks_on_one_socket(sockets):
    async def main():
        left, right = sockets(zmq.DEALER, zmq.DEALER, context=zmq.asyncio.Context.instance())
        left.set_hwm(5)
        right.set_hwm(5)

        async def send():
            for index in range(500):
                assert await npt.send_array(left, np.full(1000, index)) is None

        async def receive(socket):
            return [int((await npt.recv_array(socket))[-1]) for _ in range(500)]

        async def reflect():
            for _ in range(500):
                await npt.send_array(right, await npt.recv_array(right))

        _, _, arrived = await asyncio.gather(send(), reflect(), receive(left))
        assert arrived == list(range(500))

    run(main())


async def disturb(receive, send):
    """Cancel each ``receive`` while its message arrives; then let another task take one, and the news of the next."""
    for index in range(200):
        task = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        send(index)
        for _ in range(index % 8):
            await asyncio.sleep(0)
        task.cancel()
        try:
            assert await task == index
        except asyncio.CancelledError:
            assert await receive() == index  # it is still to come
    for index in range(100):
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        send(index)
        send(-index)
        assert sorted([int(await receive()), int(await waiting)]) == [-index, index]


def test_recv_array_that_is_cancelled_or_shared(sockets):
    async def main():
        left, right = sockets(zmq.PUSH, zmq.PULL)
        own = zmq.asyncio.Socket.from_socket(right)
        await disturb(lambda: npt.recv_array(own), lambda i: npt.send_array(left, np.array(i)))

    run(main())


def test_recv_that_is_cancelled_or_shared(address):
    async def main():
        async with nptransport.asyncio.Consumer(bind=address) as consumer:
            with npt.Producer(connect=consumer.address) as producer:
                await disturb(consumer.recv, lambda i: producer.send(np.array(i)))
        assert (consumer.statistics().messages, consumer.statistics().missed) == (400, 0)

    run(main())


@pytest.mark.parametrize("size", [1, 100_000])
def test_cancelling_send(address, size):
    """It has sent either the whole message or nothing, and says which."""

    async def main():
        sent, arrived = [], []
        with npt.Consumer(bind=address, max_messages=1) as consumer:
            async with nptransport.asyncio.Producer(connect=consumer.address, max_messages=1) as producer:
                for index in range(200):
                    task = asyncio.ensure_future(producer.send(np.full(size, index)))
                    for _ in range(index % 8):
                        await asyncio.sleep(0)
                    if index % 3 == 0:
                        with contextlib.suppress(npt.Timeout):
                            arrived.append(int(consumer.recv(timeout=0)[0]))
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                        sent.append(index)
                arrived += [int(consumer.recv(timeout=PATIENCE)[0]) for _ in sent[len(arrived) :]]
        assert arrived == sent
        assert len(sent) == producer.statistics().messages

    run(main())


def test_two_tasks_whose_arrays_do_not_fit(address):
    async def main():
        async with nptransport.asyncio.Consumer(bind=address) as consumer:
            wrong = [asyncio.ensure_future(consumer.recv(out=np.zeros(7))) for _ in range(2)]
            await asyncio.sleep(0)
            with npt.Producer(connect=consumer.address) as producer:
                producer.send(np.array(0))
                producer.send(np.array(1))
                refusals = await asyncio.gather(*wrong, return_exceptions=True)
            assert [type(refusal) for refusal in refusals] == [npt.DecodeError] * 2
            assert sorted([int(await consumer.recv()), int(await consumer.recv(timeout=1))]) == [0, 1]

    run(main())
