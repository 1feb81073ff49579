"""``latest=True`` and ``max_age``: what is handed out was sent just now, and what was passed over is counted."""

from __future__ import annotations

import socket
import sys
import time

import numpy as np
import pytest
import zmq
from faces import (  # noqa: F401
    address_fixture,
    face_fixture,
    indices,
    knows,
    sockets_of_zmq_fixture,
    spawn_fixture,
    wait_until,
    wait_until_asked,
    wire_fixture,
)

import nptransport as npt
from nptransport.patterns import latest
from nptransport.protocol.program import Program

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory sizes from /proc")
MB = 1_000_000
SLACK = 6 * MB  # what Python, NumPy and libzmq take for themselves meanwhile


def waiting(subscriber):
    return sum(stream.waiting for stream in subscriber.statistics().streams.values())


def arrived(subscriber):
    statistics = subscriber.statistics()
    return statistics.received + statistics.skipped + statistics.stale + waiting(subscriber)


def test_the_newest_is_given_and_the_others_are_counted(face, address):
    publisher, subscriber = face.broadcast(address, latest=True)
    for index in range(100):
        publisher.send(np.array(index))
    wait_until(lambda: arrived(subscriber) + subscriber.statistics().missed == 100)
    message = subscriber.recv_message()
    assert (int(message.payload), message.sequence) == (99, 99)
    statistics = subscriber.statistics()
    assert (statistics.received, statistics.skipped + statistics.missed) == (1, 99)
    with pytest.raises(npt.Timeout):
        subscriber.recv(timeout=0)


def test_each_topic_has_its_newest_and_its_turn(face, address):
    """A busy topic does not keep the others waiting: the one that has waited longest is next."""
    publisher, subscriber = face.broadcast(address, latest=True)
    for topic in "abc":
        publisher.send(np.array(0), topic=topic)
    wait_until(lambda: waiting(subscriber) == 3)
    for index in range(1, 101):
        publisher.send(np.array(index), topic="a")
    wait_until(lambda: arrived(subscriber) + subscriber.statistics().missed == 103)
    assert [
        (message.topic, int(message.payload)) for message in (subscriber.recv_message(), subscriber.recv_message())
    ] == [
        ("a", 100),
        ("b", 0),
    ]
    publisher.send(np.array(101), topic="a")
    wait_until(lambda: waiting(subscriber) == 2)
    assert [subscriber.recv_message().topic for _ in range(2)] == ["c", "a"]


@pytest.mark.parametrize("size", [10, 50_000])
def test_a_reader_that_pauses_gets_what_was_sent_just_now(face, address, size):
    publisher, subscriber = face.broadcast(address, latest=True)
    publisher.send(np.zeros(size))
    subscriber.recv()
    for _ in range(1000):
        publisher.send(np.zeros(size))
    # It is not read meanwhile, and yet all that is on its way comes in, until there is but one.
    (stream,) = wait_until(lambda: [each for each in subscriber.statistics().streams.values() if each.sent == 1000])
    assert (stream.received, stream.waiting) == (1, 1)
    assert subscriber.recv_message().sequence == 1000
    with pytest.raises(npt.Timeout):
        subscriber.recv(timeout=0.05)
    statistics = subscriber.statistics()
    assert (statistics.received, statistics.skipped + statistics.missed) == (2, 999)


def last_of_each_topic_arrive(publisher, subscriber, size):
    for index in range(200):
        publisher.send(np.full(size, index, "u1"), topic="ab"[index % 2])
    last = {}
    while last != {"a": 198, "b": 199}:
        message = subscriber.recv_message()
        last[message.topic] = int(message.payload[0])


def test_the_last_message_before_silence_arrives(face, address):
    """There was no room for it when it was sent, and nothing is sent after it."""
    publisher, subscriber = face.broadcast(address, latest=True, publisher={"max_messages": 1}, max_messages=1)
    last_of_each_topic_arrive(publisher, subscriber, 10)


def test_the_last_large_message_before_silence_arrives(face, wire):
    """The budget is used up by two on their way and one kept of each topic, which newer ones take the place of."""
    held = 2 * MB if wire.startswith("shm") else 0  # by the reader, the one it looks at and the one that it takes
    publisher, subscriber = face.broadcast(wire, latest=True, publisher={"max_bytes": 5 * MB + held})
    last_of_each_topic_arrive(publisher, subscriber, MB)
    wait_until(lambda: publisher.statistics().bytes_in_flight == 0)


READER = """
    subscriber = npt.Subscriber(connect=args[0], latest=True)
    while (word := hear().strip()) != "end":
        message = subscriber.recv_message(timeout=15)
        say(message.sent_at, message.sequence)
    statistics = subscriber.statistics()
    say(statistics.received, statistics.skipped, statistics.missed, statistics.disconnects)
"""


@pytest.mark.parametrize("size", [1000, 2 * MB])
def test_a_process_that_was_stopped_gets_nothing_from_before(wire, spawn, size):
    """What had queued up in its kernel and in ours meanwhile is passed over."""
    with npt.Publisher(bind=wire, linger=0) as publisher:
        child = spawn(READER, publisher.address)
        wait_until(lambda: knows(publisher, ""))
        frame, sent = np.zeros(size, "u1"), 0

        def send_for(seconds):
            nonlocal sent
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                publisher.send(frame)
                sent += 1
                time.sleep(0.01)

        for _ in range(2):
            send_for(0.2)
            child.say("next")
            child.hear()
            child.stop()
            send_for(1.5)
            resumed_at = time.time()
            child.resume()
            child.say("next")
            while child._lines.empty():
                send_for(0.02)
            sent_at, last = map(float, child.hear().split())
            assert sent_at >= resumed_at
        while last != sent - 1:
            child.say("next")
            _, last = map(float, child.hear().split())
        child.say("end")
        received, skipped, missed, disconnects = map(int, child.hear().split())
        assert received + skipped + missed == sent
        assert disconnects == 0


def test_a_process_that_was_stopped_gets_the_last_if_nothing_new_comes(wire, spawn):
    with npt.Publisher(bind=wire, linger=0) as publisher:
        child = spawn(READER, publisher.address)
        wait_until(lambda: knows(publisher, ""))
        publisher.send(np.zeros(3))
        child.say("next")
        child.hear()
        child.stop()
        for _ in range(50):
            publisher.send(np.zeros(3))
            time.sleep(0.01)
        child.resume()
        child.say("next")
        assert child.hear().split()[1] == "50"


@pytest.mark.parametrize("size", [10, 50_000])
def test_a_reader_that_keeps_what_it_got_goes_on_getting(face, address, size):
    """Within one process, that is the memory of the publisher still."""
    publisher, subscriber = face.broadcast(address, latest=True)
    kept = []
    for index in range(20):
        publisher.send(np.full(size, index))
        kept.append(subscriber.recv())
    assert all((array == index).all() for index, array in enumerate(kept))


@linux
def test_memory_stays_bounded(wire, spawn):
    """Of a reader that does not read, and of its publisher: a few messages, not as many as would be allowed to wait."""
    with npt.Publisher(bind=wire, linger=0) as publisher:
        child = spawn(READER, publisher.address)
        wait_until(lambda: knows(publisher, ""))
        before, frame = child.resident_bytes(), np.ones(4 * MB, "u1")
        # Two on their way, the newest behind them, and the one that takes its place; over shm:// what the reader holds,
        # too: its newest, and the one that takes the place of that.
        most = 6 if wire.startswith("shm") else 4
        for _ in range(100):
            publisher.send(frame)
            assert publisher.statistics().bytes_in_flight <= most * frame.nbytes
        assert child.resident_bytes() - before < 6 * frame.nbytes + SLACK
        last = -1
        while last != 99:
            child.say("next")
            last = int(child.hear().split()[1])


# max_age


@pytest.mark.parametrize("latest", [False, True])
def test_what_is_too_old_is_counted_and_not_given(face, address, sockets_of_zmq, latest):
    """Its time of sending is what counts, not how long it has been here."""
    subscriber = face.subscriber(bind=address, latest=latest, max_age=50)
    program = Program(npt.Limits())
    socket = sockets_of_zmq(zmq.XPUB, subscriber.address)
    wait_until_asked(socket, subscriber)

    def send(index, age):
        topic = program.topic("a")
        socket.send_multipart([b"a", *program.pack(topic, np.array(index), time.time() - age)])
        program.count(topic, 1)

    for index, age in enumerate([100, 51, 0, 60, 10]):
        send(index, age)
        if latest:
            wait_until(lambda arrived_=index + 1: arrived(subscriber) == arrived_)
            if age < 50:
                assert subscriber.recv() == index
            else:
                with pytest.raises(npt.Timeout):
                    subscriber.recv(timeout=0)
    if not latest:
        assert indices(subscriber, 2) == [2, 4]
    statistics = subscriber.statistics()
    assert (statistics.received, statistics.stale, statistics.missed, statistics.skipped) == (2, 3, 0, 0)
    (stream,) = statistics.streams.values()
    assert (stream.sent, stream.waiting) == (5, 0)


def test_a_message_without_a_time_is_never_too_old(face, address, sockets_of_zmq):
    subscriber = face.subscriber(bind=address, max_age=1e-6)
    socket = sockets_of_zmq(zmq.PUB, subscriber.address)

    def arrives():
        npt.send_array(socket, np.arange(3))
        try:
            return subscriber.recv(timeout=0.01).size == 3
        except npt.Timeout:
            return False

    wait_until(arrives)


@pytest.mark.parametrize("max_age", [0, -1, float("nan")])
def test_an_age_that_nothing_has(face, address, max_age):
    with pytest.raises(ValueError, match="max_age"):
        face.subscriber(connect=address.replace(":0", ":5"), max_age=max_age)


def test_the_reader_is_told_however_long_the_row_of_messages_is(monkeypatch):
    """Each takes time: none of them is to wait until 256 have been taken."""
    monkeypatch.setattr(latest, "_SECONDS", 0)
    taken, told, begun = [], [], []
    woken, waker = socket.socketpair()

    class Busy:
        descriptor = woken.fileno()

        def try_receive(self):
            return b"one more" if begun else None

    with woken, waker:
        thread = latest.Latest(Busy(), taken.append, lambda *_: None, lambda: None)
        thread.listen(lambda: told.append(len(taken)), True)
        begun.append(True)
        wait_until(lambda: len(told) > 4)
        thread.stop()
    assert np.all(np.diff(told[:5]) <= 1)
