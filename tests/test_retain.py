"""``retain=1``: who comes late gets the last message of each topic at once, and nobody gets it twice."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import zmq
from faces import (  # noqa: F401
    PATIENCE,
    address_fixture,
    face_fixture,
    knows,
    sockets_of_zmq_fixture,
    spawn_fixture,
    wait_until,
    wire_fixture,
)

import nptransport as npt


@pytest.mark.parametrize("size", [10, 50_000])
@pytest.mark.parametrize("latest", [False, True])
def test_who_comes_late_gets_the_last_of_each_topic(face, address, latest, size):
    """The publisher is idle: nobody calls it."""
    publisher = face.publisher(bind=address, retain=1)
    for index in range(5):
        for topic in ("camera/left", "camera/right", "lidar"):
            publisher.send(np.full(size, index), topic=topic)
    subscriber = face.subscriber(connect=publisher.address, topics="camera/", latest=latest)
    messages = [subscriber.recv_message() for _ in range(2)]
    assert sorted(message.topic for message in messages) == ["camera/left", "camera/right"]
    assert all((message.payload == 4).all() and message.sequence == 4 for message in messages)
    publisher.send(np.full(size, 5), topic="camera/left")
    assert subscriber.recv_message().sequence == 5
    streams = subscriber.statistics().streams
    assert {(topic, stream.first, stream.sent, stream.missed) for (_, topic), stream in streams.items()} == {
        ("camera/left", 4, 2, 0),
        ("camera/right", 4, 1, 0),
    }


def test_the_others_get_nothing_twice(face, address, sockets_of_zmq):
    """Counted on the wire: each of those who are there already sees as many messages as were sent, and no more."""
    publisher = face.publisher(bind=address, retain=1)
    early = face.subscriber(connect=publisher.address)
    wait_until(lambda: knows(publisher, ""))
    with sockets_of_zmq(zmq.SUB, publisher.address, "") as plain:
        wait_until(lambda: "plain" in publisher.statistics().subscribers)
        for round_ in range(5):
            publisher.send(np.array(round_), topic="a")
            publisher.send(np.full(50_000, round_), topic="b")
            with face.subscriber(connect=publisher.address) as late:
                assert {late.recv_message().topic for _ in range(2)} == {"a", "b"}
                assert late.statistics().duplicates == 0
        publisher.send(np.array(-1), topic="end")
        seen = [plain.recv_multipart()[0]]
        while seen[-1] != b"end":
            seen.append(plain.recv_multipart()[0])
        assert seen == [b"a", b"b"] * 5 + [b"end"]
        with pytest.raises(zmq.Again):
            plain.recv(zmq.NOBLOCK)
    messages = [early.recv_message() for _ in range(11)]
    assert [message.topic for message in messages] == [*["a", "b"] * 5, "end"]
    with pytest.raises(npt.Timeout):
        early.recv(timeout=0)
    wait_until(lambda: knows(publisher, ""))
    (state,) = publisher.statistics().subscribers.values()
    assert state.sent == 11
    assert early.statistics().duplicates == 0


def test_overlapping_topics_are_handed_out_once(face, address):
    publisher = face.publisher(bind=address, retain=1)
    publisher.send(np.array(1), topic="camera/left")
    subscriber = face.subscriber(connect=publisher.address, topics=["camera", "camera/", ""])
    assert subscriber.recv() == 1
    wait_until(lambda: knows(publisher, ["camera", "camera/", ""]))
    publisher.send(np.array(2), topic="camera/left")
    assert subscriber.recv() == 2
    statistics = subscriber.statistics()
    assert (statistics.received, statistics.missed) == (2, 0)


def test_what_is_retained_is_what_was_sent(face, address):
    """However the sender changes its array afterwards, lent or not."""
    publisher = face.publisher(bind=address, retain=1)
    for topic, size, copy in [("a", 10, True), ("b", 50_000, True), ("c", 10, False), ("d", 50_000, False)]:
        array = np.arange(size)
        handle = publisher.send(array, topic=topic, copy=copy)
        if not copy:
            handle.wait(PATIENCE)
        array[:] = -1
    with face.subscriber(connect=publisher.address) as subscriber:
        for _ in range(4):
            payload = subscriber.recv()
            assert np.array_equal(payload, np.arange(len(payload)))


def test_a_publisher_comes_to_a_subscriber_with_what_it_retained(face, wire):
    """It connects, and the subscriber was there first; nothing is sent afterwards."""
    subscriber = face.subscriber(bind=wire)
    publisher = face.publisher(connect=subscriber.address, retain=1)
    publisher.send(np.array(7), topic="a")
    message = subscriber.recv_message()
    assert (message.payload, message.sequence) == (7, 0)


def test_without_retain_there_is_nothing(face, address):
    publisher = face.publisher(bind=address)
    publisher.send(np.array(1), topic="a")
    subscriber = face.subscriber(connect=publisher.address)
    wait_until(lambda: knows(publisher, ""))
    publisher.send(np.array(2), topic="a")
    message = subscriber.recv_message()
    assert (message.payload, message.sequence) == (2, 1)


def test_a_subscriber_that_comes_again(face, spawn, wire):
    """After its publisher was there all the time: again the last of each topic."""
    publisher = face.publisher(bind=wire, retain=1)
    publisher.send(np.array(1), topic="a")
    for _ in range(2):
        child = spawn("say(npt.Subscriber(connect=args[0]).recv_message(timeout=10).sequence)", publisher.address)
        with contextlib.suppress(AssertionError):
            assert child.hear() == "0"
            assert child.wait() == 0
            continue
        raise AssertionError(child.errors)
