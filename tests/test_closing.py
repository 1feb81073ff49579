"""The end of an endpoint: what was sent arrives or is reported, the wait has an end, the address is free again.

libzmq itself drops what a slow reader has not yet taken when the writer closes (its issue 4660).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import address_fixture, face_fixture, make_address, new_address_fixture, wire_fixture  # noqa: F401

import nptransport as npt
import nptransport.asyncio

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PRODUCER = """
    import faces
    address, face, size, count, ending = args[0], faces.FACES[args[1]](), int(args[2]), int(args[3]), args[4]
    producer = face.producer(connect=address, max_messages=5000, linger=20)
    for index in range(count):
        producer.send(np.full(size, index % 256, "u1"))
    say("sent")
    if ending == "close":
        say(producer.close())
    elif ending == "flush":
        producer.flush()
        os._exit(0)
    elif ending == "wait":
        hear()
"""

CONSUMER = """
    consumer = npt.Consumer(**{args[0]: args[1]}, max_messages=1)
    say(consumer.address)
    if hear():
        for array in consumer:
            say(array.flat[0])
"""


# Everything arrives


@pytest.mark.parametrize(("size", "count"), [(1000, 2000), (1_000_000, 30)])
@pytest.mark.parametrize("name", ["sync", "asyncio"])
@pytest.mark.parametrize("ending", ["close", "flush", "exit"])
def test_a_slow_consumer_gets_everything(wire, spawn, name, size, count, ending):
    """Also if nobody closes the producer and its program just ends."""
    with npt.Consumer(bind=wire, max_messages=1) as consumer:
        child = spawn(PRODUCER, consumer.address, name, size, count, ending)
        assert child.hear() == "sent"  # and now it comes to its end, while we have not begun to read
        for index in range(count):
            assert consumer.recv(timeout=PATIENCE)[0] == index % 256
        if ending == "close":
            assert child.hear() == "0"
    assert child.wait() == 0


def test_a_program_may_end_while_a_thread_is_sending(wire, spawn):
    """That producer cannot be waited for; the others are."""
    with npt.Consumer(bind=wire, max_messages=1) as consumer:
        child = spawn(
            """
            producers = []
            for _ in range(3):
                stuck = npt.Producer(bind="tcp://127.0.0.1:0")
                threading.Thread(target=stuck.send, args=[np.zeros(3)], daemon=True).start()
                producers.append(npt.Producer(connect=args[0]))
                for _ in range(10):
                    producers[-1].send(np.zeros(1_000_000))
            say("sent")
            """,
            consumer.address,
        )
        assert child.hear() == "sent"
        for _ in range(30):
            assert consumer.recv(timeout=PATIENCE).size == 1_000_000


def test_closing_while_another_task_sends(wire, spawn):
    """Either its ``send`` fails, or what it has sent arrives."""
    child = spawn(CONSUMER, "bind", wire)
    address = child.hear()
    child.say("go")

    async def main():
        sent = 0
        producer = nptransport.asyncio.Producer(connect=address)

        async def send():
            nonlocal sent
            while True:
                await producer.send(np.array(sent))
                sent += 1

        sending = asyncio.ensure_future(send())
        while sent < 1000:
            await asyncio.sleep(0)
        assert await producer.close() == 0
        with pytest.raises(npt.ConnectionClosed):
            await sending
        return sent

    sent = asyncio.run(main())
    assert [int(child.hear()) for _ in range(sent)] == list(range(sent))


# What has not arrived is reported, in time


def assert_reports(caplog, lost, sent):
    assert 0 < lost <= sent
    assert "not known to have arrived" in caplog.text


def test_nobody_is_there(face, wire, caplog):
    absent = face.consumer(bind=wire)
    absent.close()
    producer = face.producer(connect=absent.address)
    for index in range(3):
        producer.send(np.array(index))
    assert_reports(caplog, producer.close(linger=0.1), 3)
    assert "no consumer was ever here" in caplog.text


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_nobody_reads(face, wire, spawn, caplog, size):
    child = spawn(CONSUMER, "bind", wire)
    producer = face.producer(connect=child.hear(), linger=0.2)
    wait_until(lambda: producer.statistics().connections)
    child.stop()
    for _ in range(20):
        producer.send(np.zeros(size, "u1"))
    assert_reports(caplog, producer.close(), 20)


@pytest.mark.parametrize("moment", ["before", "during"])
def test_the_reader_dies(face, wire, spawn, caplog, moment):
    child = spawn(CONSUMER, "bind", wire)
    producer = face.producer(connect=child.hear())
    wait_until(lambda: producer.statistics().connections)
    child.stop()
    for _ in range(20):
        producer.send(np.zeros(10))
    if moment == "during":
        killer = threading.Timer(0.3, child.kill)
        killer.start()
    else:
        child.kill()
        wait_until(lambda: producer.statistics().disconnects)
    # What it had taken from the system and not read is gone with it, and no one can say how much that was.
    producer.close(linger=PATIENCE if moment == "during" else 1)
    assert producer.statistics().disconnects == 1


def test_only_a_stranger_was_there(face, caplog):
    """As a port scanner or a health check, which connects and leaves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        producer = face.producer(connect=f"tcp://127.0.0.1:{server.getsockname()[1]}")
        for index in range(3):
            producer.send(np.array(index))
        stranger, _ = server.accept()
    stranger.recv(1)
    stranger.close()
    assert_reports(caplog, producer.close(linger=0.1), 3)
    assert "no consumer was ever here" in caplog.text
    assert producer.statistics().disconnects == 0


def test_a_reader_that_was_stopped_before_it_could_say_hello(face, wire, spawn):
    """Its system takes the connection, and what is sent; it itself does not know of it yet."""
    child = spawn(CONSUMER, "bind", wire)
    address = child.hear()
    child.stop()
    producer = face.producer(connect=address)
    for index in range(3):
        producer.send(np.array(index))
    resume = threading.Timer(0.3, child.resume)
    resume.start()
    child.say("go")
    if producer.close(linger=PATIENCE) == 0:
        assert [child.hear() for _ in range(3)] == ["0", "1", "2"]


# Endings of others


def test_a_producer_is_killed_and_restarted(face, wire, spawn):
    consumer = face.consumer(bind=wire)
    for generation in range(2):
        child = spawn(PRODUCER, consumer.address, "sync", 100, 10, "wait")
        messages = [consumer.recv_message() for _ in range(10)]
        assert [message.sequence for message in messages] == list(range(10))
        child.kill()
        wait_until(lambda ended=generation + 1: consumer.statistics().disconnects == ended)
    assert (consumer.statistics().messages, consumer.statistics().missed) == (20, 0)
    assert consumer.statistics().connections == 0


def test_a_consumer_is_killed_and_restarted(face, wire, spawn):
    child = spawn(CONSUMER, "bind", wire)
    address = child.hear()
    producer = face.producer(connect=address)
    for generation in range(2):
        child.say("go")
        for index in range(5):
            producer.send(np.array(index))
        assert [child.hear() for _ in range(5)] == ["0", "1", "2", "3", "4"]
        child.kill()
        wait_until(lambda ended=generation + 1: producer.statistics().disconnects == ended)
        child = spawn(CONSUMER, "bind", address)
        assert child.hear() == address


@pytest.mark.parametrize("kind", ["producer", "consumer"])
def test_closing_from_another_thread_ends_a_call(address, kind):
    endpoint = npt.Producer(bind=address) if kind == "producer" else npt.Consumer(bind=address)
    begun, ended = threading.Event(), threading.Event()

    def call():
        begun.set()
        with pytest.raises(npt.ConnectionClosed):
            endpoint.send(np.zeros(3)) if kind == "producer" else endpoint.recv()
        ended.set()

    threading.Thread(target=call, daemon=True).start()
    begun.wait()
    assert not endpoint.close()
    assert ended.wait(PATIENCE)


def test_closing_ends_the_calls_of_other_tasks(address):
    async def main():
        consumer = nptransport.asyncio.Consumer(bind=address)
        calls = [asyncio.ensure_future(consumer.recv()), asyncio.ensure_future(anext(consumer, "the end"))]
        await asyncio.sleep(0)
        await consumer.close()
        error, end = await asyncio.gather(*calls, return_exceptions=True)
        assert (type(error), end) == (npt.ConnectionClosed, "the end")

    asyncio.run(main())


# Nothing stays behind


@pytest.mark.parametrize("kind", ["producer", "consumer"])
def test_the_address_is_free_at_once(face, address, kind):
    for _ in range(50):
        endpoint = face.producer(bind=address) if kind == "producer" else face.consumer(bind=address)
        address = endpoint.address
        endpoint.close()


@linux
def test_descriptors_and_threads_do_not_pile_up(face, address):
    def cycle():
        producer, consumer = face.pair(address)
        producer.send(np.zeros(3))
        producer.send(np.zeros(100_000))
        assert (consumer.recv().size, consumer.recv().size) == (3, 100_000)
        producer.close()
        consumer.close()

    def held():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    cycle()  # starts the threads of libzmq and pyzmq, which stay
    before = held()
    for _ in range(50):
        cycle()
    wait_until(lambda: held() <= before)


def test_a_context_of_your_own_can_end(face, address):
    """It waits for every socket that was opened in it."""
    context = zmq.Context()
    consumer = face.consumer(bind=address, context=context)
    producer = face.producer(connect=consumer.address, context=context)
    producer.send(np.zeros(100_000))
    assert consumer.recv().size == 100_000
    producer.close()
    consumer.close()
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(PATIENCE)
    assert context.closed


FORGETFUL = """
    def cycle(): ...  # holds the module's globals, which so are still there when Python has taken down the rest

    consumer = npt.Consumer(bind=args[0])
    say(consumer.address)
    consumer.recv()
    say("received")
"""


def test_a_consumer_that_nobody_closes_ends_without_a_word(wire, spawn):
    child = spawn(FORGETFUL, wire)
    with npt.Producer(connect=child.hear()) as producer:
        producer.send(np.zeros(3))
        assert child.hear() == "received"
    assert (child.wait(), child.errors) == (0, "")


def services():
    return [thread for thread in threading.enumerate() if thread.name.startswith(("publisher", "subscriber", "proxy"))]


@pytest.mark.parametrize("kind", ["Publisher", "Subscriber", "Proxy"])
def test_what_is_forgotten_is_closed_with_its_thread(new_address, kind):
    before = set(services())
    if kind == "Proxy":
        endpoint = npt.Proxy(frontend=new_address(), backend=new_address())
    else:
        endpoint = getattr(npt, kind)(bind=new_address(), **{"latest": True} if kind == "Subscriber" else {})
    assert set(services()) > before
    del endpoint
    wait_until(lambda: set(services()) <= before)


def test_a_consumer_that_leaves_after_a_flush_has_had_everything(face, address, caplog):
    producer, consumer = face.pair(address)
    for number in range(3):
        producer.send(np.full(100_000, number))
    got = [consumer.recv()[0] for _ in range(3)]
    producer.flush()
    consumer.close()
    wait_until(lambda: producer._channel.connections.refresh() == 0)  # seen by somebody else than who closes
    assert producer.close() == 0
    assert got == [0, 1, 2]
    ours = producer.address, consumer.address  # others' memory that nobody fetched is told of a minute later
    assert not [message for message in caplog.messages if message.startswith(ours)]


# The files of sockets


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no files there")
@pytest.mark.parametrize("transport", ["ipc", "shm"])
def test_a_sockets_file_goes_with_it(face, transport):
    if transport == "shm" and sys.platform != "linux":
        pytest.skip("shm:// needs Linux")
    address = make_address(transport)
    path = Path(address.partition("://")[2])
    for kind in ("Consumer", "Producer", "Publisher", "Server"):
        endpoint = getattr(face.package, kind)(bind=address)
        assert path.is_socket()
        face.run(endpoint.close())
        assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no files there")
def test_the_file_of_whoever_came_after_stays():
    address = make_address("ipc")
    path = Path(address.partition("://")[2])
    with npt.Consumer(bind=address):
        path.unlink()
        other = npt.Consumer(bind=address)
    with other:
        assert path.is_socket()
        with npt.Producer(connect=address) as producer:
            producer.send(3)
            assert other.recv(timeout=PATIENCE) == 3
    assert not path.exists()


# What a consumer leaves unread


@pytest.mark.parametrize("first", ["producer", "consumer"])
@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_what_was_not_received_is_counted(face, address, size, first, caplog):
    producer, consumer = face.pair(address)
    for _ in range(5):
        producer.send(np.zeros(size, np.uint8))
    consumer.recv()
    shared = address.startswith("shm://") and size > 10  # what lies there is its producer's to count
    if first == "producer":
        assert producer.close() == (4 if shared else 0)
    elif not shared and not address.startswith("inproc://"):
        producer.flush()
    unread = 0 if shared else 4
    assert consumer.close() == consumer.statistics().unread == unread
    assert (f"closed with {unread} messages that had come" in caplog.text) is not shared
    assert consumer.close() == 0


def test_what_was_kept_for_another_out_is_unread_too(face, address):
    consumer = face.consumer(bind=address)
    producer = face.producer(connect=consumer.address)
    producer.send(np.zeros(3))
    with pytest.raises(npt.DecodeError):
        consumer.recv(out=np.zeros(4))
    assert consumer.close() == 1


def test_one_that_received_all_leaves_nothing(face, address, caplog):
    consumer = face.consumer(bind=address)
    producer = face.producer(connect=consumer.address)
    for number in range(50):
        producer.send(np.full(1000, number))
        consumer.recv()
    assert consumer.close() == consumer.statistics().unread == 0
    assert not caplog.text


def test_a_consumer_whose_producer_never_stops_closes(face, wire, spawn):
    consumer = face.consumer(bind=wire)
    child = spawn(
        """
        producer = npt.Producer(connect=args[0], linger=0)
        while True:
            producer.send(np.zeros(1000, "u1"))
        """,
        consumer.address,
    )
    for _ in range(100):
        consumer.recv(timeout=PATIENCE)
    wait_until(consumer._endpoint._channel.readable)
    assert consumer.close() > 0
    child.kill()
