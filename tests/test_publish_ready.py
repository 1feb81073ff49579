"""Who is there: wait_for_subscribers, its count when subscribers leave, threads that share a publisher, and forks."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import zmq
from faces import (  # noqa: F401
    PATIENCE,
    address_fixture,
    face_fixture,
    sockets_of_zmq_fixture,
    spawn_fixture,
    wait_until,
    wire_fixture,
)

import nptransport as npt

SUBSCRIBER = """
    subscriber = npt.Subscriber(connect=args[0], topics=args[1], latest=args[2] == "latest")
    for array in subscriber:
        say(array)
"""


def count(publisher, topic=""):
    """Subscribers that it knows of, as wait_for_subscribers tells."""
    number = 0
    try:
        while True:
            publisher.wait_for_subscribers(number + 1, topic=topic, timeout=0)
            number += 1
    except npt.Timeout:
        return number


def test_the_first_message_arrives(face, address):
    """Waiting for whoever it is for is enough: no sleep."""
    for _ in range(10):
        with face.publisher(bind=address) as publisher, face.subscriber(connect=publisher.address) as subscriber:
            publisher.wait_for_subscribers()
            publisher.send(np.arange(3))
            assert subscriber.recv_message().sequence == 0
            address = publisher.address


def test_those_who_want_a_topic_are_counted(face, address):
    publisher = face.publisher(bind=address)
    asked = ["camera/", "camera/left", ["camera/", "camera"], "", "lidar"]
    subscribers = [face.subscriber(connect=publisher.address, topics=topics) for topics in asked]
    publisher.wait_for_subscribers(4, topic="camera/left")
    publisher.wait_for_subscribers(2, topic="lidar")
    assert [count(publisher, topic) for topic in ("camera/left", "camera/right", "lidar", "", "x")] == [4, 3, 2, 1, 1]
    subscribers[0].close()
    wait_until(lambda: count(publisher, "camera/left") == 3)
    assert count(publisher, "lidar") == 2


def test_nobody_comes(face, address):
    publisher = face.publisher(bind=address)
    with pytest.raises(npt.Timeout, match=r"waited 0\.05 s for 1 subscribers, found 0") as caught:
        publisher.wait_for_subscribers(timeout=0.05)
    assert caught.value.seconds == 0.05
    publisher.wait_for_subscribers(0, timeout=0)


def test_a_topic_that_is_no_text(face, address):
    with pytest.raises(npt.EncodeError, match="topic"):
        face.publisher(bind=address).wait_for_subscribers(topic=b"camera")


def test_an_idle_publisher_hears_of_subscribers(face, address):
    """Nobody calls send; a thread waits."""
    publisher = npt.Publisher(bind=address)
    known = threading.Event()

    def wait():
        publisher.wait_for_subscribers(2, topic="a", timeout=PATIENCE)
        known.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    for latest in (False, True):
        assert not known.is_set()
        face.subscriber(connect=publisher.address, topics="a", latest=latest)
    waiter.join()
    assert known.is_set()
    publisher.close()


@pytest.mark.parametrize("mode", ["queue", "latest"])
def test_a_subscriber_that_is_killed(face, wire, spawn, mode):
    publisher = face.publisher(bind=wire)
    children = [spawn(SUBSCRIBER, publisher.address, "a", mode) for _ in range(2)]
    stays = face.subscriber(connect=publisher.address)
    publisher.wait_for_subscribers(3, topic="ab")
    children[0].kill()
    wait_until(lambda: count(publisher, "ab") == 2)
    children[1].process.terminate()
    wait_until(lambda: count(publisher, "ab") == 1)
    statistics = publisher.statistics()
    assert (len(statistics.subscribers), statistics.connections, statistics.disconnects) == (1, 1, 2)
    publisher.send(np.array(7), topic="ab")
    assert stays.recv() == 7


def test_a_subscriber_that_comes_again_counts_once(face, address):
    publisher = face.publisher(bind=address)
    for _ in range(5):
        with face.subscriber(connect=publisher.address):
            publisher.wait_for_subscribers()
        wait_until(lambda: count(publisher) == 0)
    assert publisher.statistics().subscribers == {}


def test_what_is_known_of_each_subscriber(face, address):
    publisher, _ = face.broadcast(address, ["a", "b"])
    face.subscriber(connect=publisher.address, topics="c", latest=True)
    publisher.wait_for_subscribers(topic="c")
    for topic in ("a1", "b", "c", "d"):
        publisher.send(np.arange(3), topic=topic)
    states = sorted(publisher.statistics().subscribers.values(), key=lambda state: state.topics)
    assert [(state.topics, state.latest, state.sent) for state in states] == [(("a", "b"), False, 2), (("c",), True, 1)]
    assert all(state.dropped_for_messages == state.dropped_for_bytes == state.bytes_waiting == 0 for state in states)


def test_plain_subscribers_are_counted(face, address, sockets_of_zmq):
    publisher = face.publisher(bind=address)
    with sockets_of_zmq(zmq.SUB, publisher.address, "camera", "camera/left") as plain:
        publisher.wait_for_subscribers(2, topic="camera/left/top")
        assert count(publisher, "camera/right") == 1
        plain.unsubscribe("camera/left")
        wait_until(lambda: count(publisher, "camera/left") == 1)
    wait_until(lambda: count(publisher, "camera/left") == 0)


# Threads


def test_threads_share_a_publisher(wire):
    """Each topic's messages are whole, in order and all there, while statistics are asked for and subscribers come."""
    with npt.Publisher(bind=wire, max_messages=20_000) as publisher:
        subscriber = npt.Subscriber(connect=publisher.address, max_messages=20_000)
        publisher.wait_for_subscribers(timeout=PATIENCE)
        mistakes = []

        def send(name):
            try:
                for index in range(1000):
                    publisher.send(np.full(10_000 if index % 50 == 0 else 10, index), topic=name)
            except Exception as mistake:  # noqa: BLE001 - what comes is what the test is about
                mistakes.append(mistake)

        threads = [threading.Thread(target=send, args=[name]) for name in "abcd"]
        for thread in threads:
            thread.start()
        for _ in range(20):
            with npt.Subscriber(connect=publisher.address, topics="x"):
                publisher.wait_for_subscribers(topic="x", timeout=PATIENCE)
                publisher.statistics()
        rows = {name: [] for name in "abcd"}
        for _ in range(4000):
            message = subscriber.recv_message(timeout=PATIENCE)
            assert (message.payload == message.sequence).all()
            rows[message.topic].append(message.sequence)
        for thread in threads:
            thread.join()
        assert mistakes == []
        assert all(row == list(range(1000)) for row in rows.values())
        subscriber.close()


@pytest.mark.parametrize("latest", [False, True])
def test_closing_from_another_thread_ends_a_call(address, latest):
    publisher = npt.Publisher(bind=address)
    subscriber = npt.Subscriber(connect=publisher.address, latest=latest)
    ended = []

    def call(use):
        with pytest.raises(npt.ConnectionClosed):
            use()
        ended.append(use)

    threads = [
        threading.Thread(target=call, args=[use], daemon=True)
        for use in (subscriber.recv, lambda: publisher.wait_for_subscribers(2))
    ]
    publisher.wait_for_subscribers(timeout=PATIENCE)
    for thread in threads:
        thread.start()
    publisher.close()
    subscriber.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ended) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("latest", [False, True])
def test_a_forked_child(face, address, spawn, latest):
    """Refused there, at its end, too, in silence; the parent goes on working."""
    child = spawn(
        """
        import atexit, faces, warnings
        warnings.simplefilter("ignore")  # forking with threads; sockets that the child leaves open
        face = faces.FACES[args[0]]()
        publisher, subscriber = face.broadcast(args[1], latest=args[2] == "True")
        publisher.send(np.array(1))
        subscriber.recv()
        parent, child = os.getpid(), os.fork()
        if not child:
            sends = [lambda: publisher.send(np.array(2)), lambda: publisher.send(np.zeros(10**5), topic="t")]
            looks = [publisher.statistics, subscriber.statistics]
            for use in (*sends, publisher.wait_for_subscribers, subscriber.recv, *looks):
                try:
                    use()
                    say("no error")
                except npt.MisuseError as error:
                    assert error.expected == f"process {parent}", error
                    assert error.found == f"process {os.getpid()}", error
                    say("refused")
            if args[0] == "sync":
                sys.exit()
            atexit._run_exitfuncs()
            os._exit(0)  # a loop that is deleted takes its own wakeups from the parent's, with which it shares them
        say(os.waitpid(child, 0)[1])
        publisher.send(np.array(3))
        say(subscriber.recv())
        say(publisher.close())
        face.close()
        """,
        *(face.name, address, latest),
    )
    assert [child.hear() for _ in range(9)] == [*["refused"] * 6, "0", "3", "0"]
    assert child.wait() == 0
    assert child.errors == ""


FORGETFUL = """
    def cycle(): ...  # holds the module's globals, which so are still there when Python has taken down the rest

    publisher = npt.Publisher(bind=args[0])
    subscribers = [npt.Subscriber(connect=publisher.address, latest=latest) for latest in (False, True)]
    publisher.wait_for_subscribers(2)
    publisher.send(np.zeros(100_000))
    say([subscriber.recv().size for subscriber in subscribers])
"""


def test_endpoints_that_nobody_closes_end_without_a_word(wire, spawn):
    child = spawn(FORGETFUL, wire)
    assert child.hear() == "[100000, 100000]"
    assert (child.wait(), child.errors) == (0, "")


@pytest.mark.parametrize("topics", [None, 3, b"camera/", ["camera/", b"lidar"]], ids=repr)
def test_who_subscribes_to_what_is_no_text(face, address, topics):
    found = type(topics[1] if isinstance(topics, list) else topics).__name__
    with pytest.raises(npt.EncodeError, match=f"topic: expected a str, found {found}"):
        face.subscriber(connect=address, topics=topics)


def test_a_subscriber_at_an_address_of_another_kind(face):
    """ZeroMQ ends the handshake of two that do not fit: who waits is told where."""
    consumer = face.consumer(bind="tcp://127.0.0.1:*")
    subscriber = face.subscriber(connect=consumer.address)

    def told():
        with pytest.raises(npt.Timeout) as caught:
            subscriber.recv(timeout=0.05)
        return f"handshakes that {consumer.address} broke off" in str(caught.value)

    wait_until(told)
    assert wait_until(lambda: consumer.statistics().refused)
