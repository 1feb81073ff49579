"""A consumer that does not keep up: the producer waits, neither side's memory grows, and nothing is lost."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from faces import PATIENCE, address_fixture, face_fixture, spawn_fixture, wait_until, wire_fixture  # noqa: F401

import nptransport as npt

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory sizes from /proc")

MB = 1_000_000
SLACK = 6 * MB  # what Python, NumPy and libzmq take for themselves meanwhile

# Reads nothing until it hears how much there is, and says whether that came in order.
CONSUMER = """
    options = eval(args[1])
    consumer = npt.Consumer(bind=args[0], **options)
    say(consumer.address)
    count = int(hear())
    say([int(consumer.recv(timeout=10)[0]) for _ in range(count)] == [i % 256 for i in range(count)])
"""


def fill(producer, size, max_bytes, *, sent=0, timeout=0.2):
    """Send until there is no more room; how many messages there was room for, with those ``sent`` before."""
    count = sent
    try:
        while True:
            producer.send(np.full(size, count % 256, "u1"), timeout=timeout)
            count += 1
            assert producer.statistics().bytes_in_flight <= max_bytes
    except npt.Timeout:
        return count


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "idle"])
@pytest.mark.parametrize(("size", "max_bytes"), [(MB, 8 * MB), (10_000, MB)])
def test_a_stuck_consumer_holds_up_its_producer(face, wire, spawn, stopped, size, max_bytes):
    child = spawn(CONSUMER, wire, {"max_messages": 4})
    producer = face.producer(connect=child.hear(), max_bytes=max_bytes)
    wait_until(lambda: producer.statistics().connections)
    if stopped:
        child.stop()
    count = fill(producer, size, max_bytes)
    free = max_bytes - producer.statistics().bytes_in_flight
    assert free < max_bytes / 4 + 2 * size  # it is used to the full
    assert free >= 0 if wire.startswith("shm") else free > 0  # to the last byte only where small ones have no share
    sent, count = count, fill(producer, size, max_bytes, sent=count, timeout=0)
    assert count - sent < 3  # the system may have taken one more from libzmq meanwhile
    child.resume()
    child.say(count)
    assert child.hear() == "True"
    assert producer.statistics().messages == count


@linux
@pytest.mark.parametrize(("size", "max_bytes"), [(MB, 8 * MB), (10_000, MB), (100, MB)])
def test_the_memory_of_a_producer_stays_bounded(wire, spawn, size, max_bytes):
    with npt.Consumer(bind=wire, max_messages=1) as consumer:
        child = spawn(
            """
            address, size, max_bytes = args[0], int(args[1]), int(args[2])
            producer = npt.Producer(connect=address, max_bytes=max_bytes, linger=0)
            frame = np.ones(size, "u1")
            producer.send(frame)
            say("ready")
            hear()
            try:
                while True:
                    producer.send(frame, timeout=0.5)
            except npt.Timeout:
                say("full")
            hear()
            """,
            *(consumer.address, size, max_bytes),
        )
        assert child.hear() == "ready"
        before = child.resident_bytes()
        child.say()
        assert child.hear() == "full"
        assert child.resident_bytes() - before < max_bytes + SLACK


@linux
@pytest.mark.parametrize(
    "options",
    [{"max_messages": 4}, {"max_bytes": 32 * MB, "limits": "npt.Limits(max_total_bytes=8_000_000)"}],
    ids=["max_messages", "max_bytes"],
)
def test_the_memory_of_a_consumer_stays_bounded(wire, spawn, options):
    written = ", ".join(f"{name}={value}" for name, value in options.items())
    child = spawn(CONSUMER, wire, f"dict({written})")
    address = child.hear()
    before = child.resident_bytes()
    size = 8 * MB - 1000
    with npt.Producer(connect=address, max_bytes=16 * MB) as producer:
        count = fill(producer, size, 16 * MB)
        assert child.resident_bytes() - before < (4 + 1) * size + SLACK  # one more is just being received
        child.say(count)
        assert child.hear() == "True"


def test_a_message_larger_than_all_room_travels_alone(face, address):
    absent = face.consumer(bind=address)
    absent.close()
    producer = face.producer(connect=absent.address, max_bytes=MB)
    producer.send(np.full(3 * MB, 1, "u1"))
    for payload in (np.zeros(3 * MB, "u1"), np.zeros(1000, "u1")):
        with pytest.raises(npt.Timeout, match=r"memory that is still in use.*raise max_bytes"):
            producer.send(payload, timeout=0.05)
    consumer = face.consumer(bind=producer.address)
    assert consumer.recv()[-1] == 1
    producer.send(np.full(3 * MB, 2, "u1"))
    assert consumer.recv()[-1] == 2


@pytest.mark.parametrize("size", [10, 100_000])
def test_no_more_messages_wait_than_max_messages(face, wire, size):
    absent = face.consumer(bind=wire)
    absent.close()
    producer = face.producer(connect=absent.address, max_messages=5)
    for index in range(5):
        producer.send(np.full(size, index), timeout=0)
    with pytest.raises(npt.Timeout, match="room at the other side"):
        producer.send(np.zeros(size), timeout=0)
    consumer = face.consumer(bind=producer.address)
    assert [int(consumer.recv()[-1]) for _ in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("size", "options"), [(100, {"max_messages": 2}), (50_000, {"max_bytes": 3 * 8 * 50_000})])
def test_a_producer_that_waits_goes_on_when_there_is_room(face, address, size, options):
    """Again and again: what wakes it must not get lost."""
    received = []
    with npt.Consumer(bind=address, max_messages=2) as consumer:
        producer = face.producer(connect=consumer.address, **options)

        def read():
            received.extend(int(consumer.recv(timeout=PATIENCE)[-1]) for _ in range(500))

        reader = threading.Thread(target=read)
        reader.start()
        for index in range(500):
            producer.send(np.full(size, index))
        reader.join()
    assert received == list(range(500))
