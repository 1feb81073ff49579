"""Arrays from publishers to subscribers, on both faces and over every transport: who hears what, and when it ends."""

from __future__ import annotations

import time

import numpy as np
import pytest
from faces import PATIENCE, address_fixture, face_fixture, indices, new_address_fixture, wait_until  # noqa: F401
from same import difference
from test_stream import PAYLOADS, arrays_in

import nptransport as npt

TOPICS = ["camera/left", "camera/right", "camera", "lidar", "", "größe", "\N{SNAKE}", "c"]


# Topics


@pytest.mark.parametrize(
    ("asked", "heard"),
    [
        ("", TOPICS),
        ("camera", ["camera/left", "camera/right", "camera"]),
        ("camera/", ["camera/left", "camera/right"]),
        (["lidar", "camera/left"], ["camera/left", "lidar"]),
        (["camera/", "camera", "c", "c"], ["camera/left", "camera/right", "camera", "c"]),
        (["lidar", ""], TOPICS),
        ("gr", ["größe"]),
        ("\N{SNAKE}", ["\N{SNAKE}"]),
    ],
    ids=repr,
)
def test_a_subscriber_hears_what_begins_as_it_asks(face, address, asked, heard):
    publisher, subscriber = face.broadcast(address, asked)
    for size in (10, 100_000):
        for topic in TOPICS:
            publisher.send(np.full(size, len(topic)), topic=topic)
    messages = [subscriber.recv_message() for _ in heard * 2]
    assert [message.topic for message in messages] == heard * 2
    assert all((message.payload == len(message.topic)).all() for message in messages)
    assert [message.sequence for message in messages] == [0] * len(heard) + [1] * len(heard)


def test_no_topics_are_no_messages(face, address):
    publisher, everything = face.broadcast(address)
    nothing = face.subscriber(connect=publisher.address, topics=[])
    publisher.wait_for_subscribers()
    publisher.send(np.arange(3), topic="any")
    assert everything.recv().size == 3
    with pytest.raises(npt.Timeout):
        nothing.recv(timeout=0.05)
    assert nothing.statistics().streams == {}


def test_thousands_of_topics(face, address):
    publisher, subscriber = face.broadcast(address, "topic/1", max_messages=5000, publisher={"max_messages": 5000})
    for number in range(2000):
        publisher.send(np.array(number), topic=f"topic/{number}")
    expected = [number for number in range(2000) if str(number).startswith("1")]
    assert indices(subscriber, len(expected)) == expected
    assert len(subscriber.statistics().streams) == len(expected)
    assert len(publisher.statistics().topics) == 2000


@pytest.mark.parametrize("topic", [b"bytes", 3, None, "lone \ud800"], ids=repr)
def test_a_topic_that_is_no_text(face, address, topic):
    publisher, subscriber = face.broadcast(address)
    with pytest.raises(npt.EncodeError, match="topic"):
        publisher.send(np.arange(3), topic=topic)
    with pytest.raises(npt.EncodeError, match="topic"):
        face.subscriber(connect=publisher.address, topics=[topic])
    assert publisher.statistics().messages == 0
    publisher.send(np.arange(3))
    assert subscriber.recv_message().sequence == 0


def test_the_longest_topic(face, address):
    """libzmq would end the process with a much longer subscription."""
    publisher, subscriber = face.broadcast(address, "x" * 4096)
    publisher.send(np.arange(3), topic="x" * 4096)
    assert subscriber.recv_message().topic == "x" * 4096
    with pytest.raises(npt.EncodeError, match="4096 bytes"):
        face.subscriber(connect=publisher.address, topics=["a", "x" * 4097])
    with pytest.raises(npt.EncodeError, match="4096 bytes"):
        publisher.send(np.arange(3), topic="x" * 4097)


# Who connects to whom


def wait_until_known(publisher, subscribers):
    """Until ``publisher`` knows ``subscribers``. Those that have bound say so when they look for messages."""

    def all_are_known():
        for subscriber in subscribers:
            with pytest.raises(npt.Timeout):
                subscriber.recv(timeout=0)
        try:
            publisher.wait_for_subscribers(len(subscribers), timeout=0)
            return True
        except npt.Timeout:
            return False

    wait_until(all_are_known)


def test_subscribers_bind_and_publishers_connect(face, new_address):
    subscriber = face.subscriber(bind=[new_address(), new_address()])
    assert len(set(subscriber.addresses)) == 2
    publishers = [face.publisher(connect=address) for address in subscriber.addresses]
    for publisher in publishers:
        wait_until_known(publisher, [subscriber])
    for index, publisher in enumerate(publishers):
        publisher.send(np.array(index))
    assert sorted(indices(subscriber, 2)) == [0, 1]


def test_publishers_connect_to_many_subscribers(face, new_address):
    subscribers = [face.subscriber(bind=new_address()) for _ in range(3)]
    publisher = face.publisher(bind=new_address(), connect=[each.address for each in subscribers])
    subscribers.append(face.subscriber(connect=publisher.address))
    wait_until_known(publisher, subscribers)
    for index in range(5):
        publisher.send(np.array(index))
    for subscriber in subscribers:
        assert indices(subscriber, 5) == [0, 1, 2, 3, 4]


def test_many_publishers_to_many_subscribers(face, new_address):
    publishers = [face.publisher(bind=new_address()) for _ in range(3)]
    subscribers = [face.subscriber(connect=[each.address for each in publishers]) for _ in range(3)]
    for publisher in publishers:
        publisher.wait_for_subscribers(3)
    for index in range(10):
        for publisher in publishers:
            publisher.send(np.array(index), topic="a")
            publisher.send(np.full(20_000, index), topic="b")
    for subscriber in subscribers:
        rows = {}
        for _ in range(60):
            message = subscriber.recv_message()
            rows.setdefault((message.source, message.topic), []).append(
                (message.sequence, int(message.payload.flat[0]))
            )
        assert list(rows.values()) == [[(index, index) for index in range(10)]] * 6
        assert subscriber.statistics().missed == 0


# Payloads


@pytest.mark.parametrize("copy", [False, True])
def test_what_is_sent_is_what_arrives(face, address, copy):
    publisher, subscriber = face.broadcast(address, "t")
    for payload in PAYLOADS:
        publisher.send(payload, topic="topic")
        arrived = subscriber.recv(copy=copy)
        assert difference(payload, arrived) is None
        for array in arrays_in(arrived):
            assert array.flags.aligned
            assert array.flags.writeable is copy


def test_what_cannot_travel_leaves_nothing_behind(face, address):
    publisher, subscriber = face.broadcast(address)
    for payload in (np.array([None]), {"a": {1, 2}}):
        with pytest.raises(npt.EncodeError):
            publisher.send(payload)
    publisher.send(np.arange(3))
    assert subscriber.recv_message().sequence == 0
    assert (publisher.statistics().messages, subscriber.statistics().missed) == (1, 0)


@pytest.mark.parametrize("size", [10, 100_000])
def test_the_sender_may_change_its_array_at_once(face, address, size):
    publisher, subscriber = face.broadcast(address)
    array = np.empty(size)
    for index in range(20):
        array[:] = index
        publisher.send(array)
        array[:] = -1
    assert all((subscriber.recv() == index).all() for index in range(20))


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("retain", [0, 1])
def test_lent_memory_comes_back(face, address, size, retain):
    publisher, subscriber = face.broadcast(address, publisher={"retain": retain})
    array = np.arange(size)
    handle = publisher.send({"a": array, "b": array[::2].copy()}, copy=False)
    assert np.array_equal(subscriber.recv(copy=True)["a"], array)
    handle.wait(PATIENCE)
    assert handle.done


def test_memory_lent_to_nobody_comes_back(face, address):
    publisher = face.publisher(bind=address)
    publisher.send(np.zeros(100_000), copy=False).wait(PATIENCE)
    assert publisher.statistics().bytes_in_flight == 0


@pytest.mark.parametrize("latest", [False, True])
def test_receiving_into_an_array(face, address, latest):
    publisher, subscriber = face.broadcast(address, latest=latest)
    out = np.zeros((1000, 2))[:, 1]
    publisher.send(np.arange(999.0))
    for _ in range(2):
        with pytest.raises(npt.DecodeError, match="as out asks for"):
            subscriber.recv(out=out)
    assert not out.any()
    assert subscriber.recv().size == 999  # it was kept
    publisher.send(np.arange(1000.0))
    assert subscriber.recv(out=out) is out
    assert np.array_equal(out, np.arange(1000))
    assert (subscriber.statistics().received, subscriber.statistics().malformed) == (2, 0)


def test_received_arrays_stay(face, address):
    publisher, subscriber = face.broadcast(address)
    kept = []
    for index in range(60):
        publisher.send([np.full(100, index), np.full(20_000, index)])
        kept.append(subscriber.recv())
    publisher.close()
    subscriber.close()
    assert all((array == index).all() for index, payload in enumerate(kept) for array in payload)


def test_the_fields_of_a_message(face, address):
    publisher, subscriber = face.broadcast(address)
    before = time.time()
    for index in range(3):
        publisher.send({"frame": np.arange(1000.0), "index": index}, topic="camera")
    messages = [subscriber.recv_message() for _ in range(3)]
    assert [message.sequence for message in messages] == [0, 1, 2]
    assert [message.payload["index"] for message in messages] == [0, 1, 2]
    assert {message.topic for message in messages} == {"camera"}
    assert len({message.source for message in messages}) == 1
    sent_at = [message.sent_at for message in messages]
    assert before <= sent_at[0] <= sent_at[1] <= sent_at[2] <= time.time()
    assert sum(message.nbytes for message in messages) == subscriber.statistics().nbytes > publisher.statistics().nbytes
    wait_until(lambda: publisher.statistics().bytes_in_flight == 0)


# Waiting, and the end


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("seconds", [0, 0.05, 0.25])
def test_recv_times_out(face, address, latest, seconds):
    _, subscriber = face.broadcast(address, latest=latest)
    with pytest.raises(npt.Timeout, match=f"waited {seconds:g} s for a message") as caught:
        subscriber.recv(timeout=seconds)
    assert caught.value.seconds == seconds


@pytest.mark.parametrize("latest", [False, True])
def test_iteration_ends_when_the_subscriber_is_closed(face, address, latest):
    publisher, subscriber = face.broadcast(address, latest=latest)
    seen = []
    publisher.send(np.array(0))
    for array in subscriber:
        seen.append(int(array))
        publisher.send(np.array(len(seen)))
        if len(seen) == 5:
            subscriber.close()
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("latest", [False, True])
def test_use_after_close(face, address, latest):
    with face.publisher(bind=address) as publisher, face.subscriber(connect=publisher.address, latest=latest) as reader:
        publisher.wait_for_subscribers()
        publisher.send(np.arange(3), topic="t")
        assert reader.recv().size == 3
    sends = [lambda: publisher.send(np.arange(3), topic="t"), lambda: publisher.send(np.zeros(10**6))]
    for use in (*sends, publisher.wait_for_subscribers, reader.recv, lambda: reader.recv(timeout=0)):
        with pytest.raises(npt.ConnectionClosed, match="closed") as caught:
            use()
        assert caught.value.endpoint == publisher.address
    assert list(reader) == []
    for endpoint in (publisher, reader):
        assert endpoint.closed
        assert not endpoint.close()  # once more does nothing
    assert (publisher.statistics().messages, reader.statistics().received) == (1, 1)  # the account stays open


@pytest.mark.parametrize("retain", [-1, 2, True, "1"])
def test_only_the_last_can_be_retained(face, address, retain):
    if retain is True:
        face.publisher(bind=address, retain=retain)
        return
    with pytest.raises(ValueError, match="retain"):
        face.publisher(bind=address, retain=retain)
