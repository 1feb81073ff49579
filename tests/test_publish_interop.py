"""Publishers and subscribers of pyzmq beside ours: they are served as ZeroMQ does, and never see what is between us."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import zmq
from faces import address_fixture, face_fixture, sockets_of_zmq_fixture, wait_until, wait_until_asked  # noqa: F401
from same import difference
from test_stream import PAYLOADS

import nptransport as npt


def drain(socket):
    """The messages that are there now."""
    messages = []
    with contextlib.suppress(zmq.Again):
        while True:
            messages.append(socket.recv_multipart(zmq.NOBLOCK))
    return messages


# Subscribers of pyzmq


def test_a_plain_subscriber_receives_what_ours_does(face, address, sockets_of_zmq):
    publisher, subscriber = face.broadcast(address)
    socket = sockets_of_zmq(zmq.SUB, publisher.address, "")
    publisher.wait_for_subscribers(2)
    for payload in PAYLOADS:
        publisher.send(payload, topic="camera")
        assert difference(payload, npt.recv_array(socket)) is None
        assert difference(payload, subscriber.recv()) is None
    for payload in PAYLOADS[:2]:
        publisher.send(payload)
        assert difference(payload, npt.recv_array(socket)) is None
    assert not any(state.dropped_for_messages for state in publisher.statistics().subscribers.values())


def test_plain_subscribers_see_each_message_once_and_no_other(face, address, sockets_of_zmq):
    """Whoever comes and goes beside them: nothing that is for one of ours alone, or said to it."""
    publisher = face.publisher(bind=address, retain=1)
    prefixes = {"everything": [""], "one": ["camera/l"], "overlapping": ["camera/", "camera/left", "", "x"]}
    sockets = {name: sockets_of_zmq(zmq.SUB, publisher.address, *asked) for name, asked in prefixes.items()}
    publisher.wait_for_subscribers(5, topic="camera/left")
    sent = []
    for round_ in range(10):
        with (
            face.subscriber(connect=publisher.address, topics=["camera/left", ""][round_ % 2]),
            face.subscriber(connect=publisher.address, latest=True),
        ):
            publisher.wait_for_subscribers(7, topic="camera/left")
            for topic in ("camera/left", "lidar", "größe", ""):
                publisher.send(np.full(20_000 if round_ % 3 else 20, len(sent)), topic=topic)
                sent.append(topic)
        wait_until(lambda: len(publisher.statistics().subscribers) == 1)
    publisher.send(np.array(-1), topic="camera/left/last")
    for name, socket in sockets.items():
        seen = []
        while not seen or seen[-1] != "camera/left/last":
            first, *rest = socket.recv_multipart()
            assert rest
            seen.append("" if 0x80 <= first[0] <= 0x8F else first.decode())
        wanted = [topic for topic in sent if any(topic.startswith(prefix) for prefix in prefixes[name])]
        assert seen == [*wanted, "camera/left/last"]
        assert drain(socket) == []


def test_a_plain_subscriber_that_lags_holds_up_nobody(face, address, sockets_of_zmq):
    publisher, subscriber = face.broadcast(address, publisher={"max_messages": 10})
    stuck = sockets_of_zmq(zmq.SUB, publisher.address, "")
    publisher.wait_for_subscribers(2)
    for index in range(3000):
        publisher.send(np.full(2000, index))
        assert int(subscriber.recv()[0]) == index
    assert len(drain(stuck)) < 3000
    assert subscriber.statistics().missed == 0


@pytest.mark.parametrize("late", [False, True])
def test_a_plain_subscriber_changes_its_mind(face, address, sockets_of_zmq, late):
    publisher, subscriber = face.broadcast(address)
    socket = sockets_of_zmq(zmq.SUB, publisher.address, "a", "b")
    publisher.wait_for_subscribers(2, topic="a")
    if late:
        subscriber.close()
    socket.unsubscribe("a")
    wait_until(lambda: "a" not in publisher.statistics().subscribers["plain"].topics)
    for topic in ("a", "b"):
        publisher.send(np.arange(3), topic=topic)
    assert socket.recv_multipart()[0] == b"b"


def test_a_plain_subscriber_that_asks_twice_leaves_once(face, sockets_of_zmq):
    publisher = face.publisher(bind="tcp://127.0.0.1:*")
    socket = sockets_of_zmq(zmq.SUB, publisher.address, "a", "a", "a", "b")
    publisher.wait_for_subscribers(1, topic="b", timeout=30)
    socket.close()  # now that all has been heard: of a connection that has ended nobody knows whether it asked before
    wait_until(lambda: "plain" not in publisher.statistics().subscribers)


# Publishers of pyzmq


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("kind", [zmq.PUB, zmq.XPUB])
def test_a_subscriber_of_ours_hears_a_plain_publisher(face, address, sockets_of_zmq, kind, latest):
    subscriber = face.subscriber(bind=address, topics=["camera", "other"], latest=latest)
    socket = sockets_of_zmq(kind, subscriber.address)

    def arrives():
        npt.send_array(socket, np.array(-1), topic="other")
        with contextlib.suppress(npt.Timeout):
            return subscriber.recv(timeout=0.01) == -1

    wait_until(arrives)
    for payload in PAYLOADS:
        npt.send_array(socket, payload, topic="camera/left")
        npt.send_array(socket, payload, topic="lidar")
        while (message := subscriber.recv_message()).topic == "other":
            pass
        assert difference(payload, message.payload) is None
        assert (message.topic, message.source, message.sequence) == ("camera/left", None, None)
    stream = subscriber.statistics().streams["", "camera/left"]
    assert (stream.received, stream.missed) == (len(PAYLOADS), 0)
    assert subscriber.statistics().duplicates == 0


def test_messages_of_plain_publishers_without_a_topic(face, address, sockets_of_zmq):
    subscriber = face.subscriber(bind=address)
    socket = sockets_of_zmq(zmq.XPUB, subscriber.address)
    wait_until_asked(socket, subscriber)
    for topic in (None, "", "t"):
        npt.send_array(socket, np.arange(3), topic=topic)
    assert [subscriber.recv_message().topic for _ in range(3)] == ["", "", "t"]  # as a publisher of ours sends them
