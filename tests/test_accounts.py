"""For each source and topic: received + skipped + stale + missed == sent, exactly, whatever comes between."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest
from cable import cable_fixture  # noqa: F401
from faces import PATIENCE, address_fixture, face_fixture, knows, wait_until, wire_fixture  # noqa: F401

import nptransport as npt


class Reader:
    """Takes what there is from a subscriber, and counts it."""

    def __init__(self, subscriber):
        self.subscriber = subscriber
        self.counts = {}
        self.sequences = {}

    def take(self, most=10**6):
        with contextlib.suppress(npt.Timeout):
            for _ in range(most):
                message = self.subscriber.recv_message(timeout=0)
                key = message.source, message.topic
                self.counts[key] = self.counts.get(key, 0) + 1
                assert self.sequences.get(key, -1) < message.sequence  # in order, and once
                self.sequences[key] = message.sequence

    def agrees(self):
        """Its statistics are right about what it got itself, and add up."""
        statistics = self.subscriber.statistics()
        for key, stream in statistics.streams.items():
            assert stream.received == self.counts.get(key, 0)
            assert stream.received + stream.skipped + stream.stale + stream.missed == stream.sent
        for name in ("received", "skipped", "stale", "missed"):
            assert getattr(statistics, name) == sum(getattr(stream, name) for stream in statistics.streams.values())
        return statistics

    def settle(self, publisher, topics):
        """Take until all is known of all that was sent on ``topics``; the streams of this publisher by topic."""

        def all_is_known():
            self.take()
            sent, streams = publisher.statistics().topics, self.streams(publisher)
            return sorted(streams) == sorted(topics) and all(
                stream.waiting == 0 and stream.first + stream.sent == sent[topic] for topic, stream in streams.items()
            )

        wait_until(all_is_known)
        return self.streams(publisher)

    def streams(self, publisher):
        streams = self.agrees().streams.items()
        return {topic: stream for (source, topic), stream in streams if source == publisher._program.source}


def drops(publisher):
    statistics = publisher.statistics()
    return statistics.dropped_for_messages + statistics.dropped_for_bytes


OVERFLOWS = {
    "messages": ({"max_messages": 5}, 20_000, "dropped_for_messages"),  # more than the system holds
    "large messages": ({"max_messages": 5}, 50_000, "dropped_for_messages"),
    "bytes": ({"max_bytes": 2_000_000}, 50_000, "dropped_for_bytes"),
}


@pytest.mark.parametrize(("options", "size", "want"), OVERFLOWS.values(), ids=OVERFLOWS)
@pytest.mark.parametrize("latest", [False, True])
def test_a_reader_too_slow(face, address, options, size, want, latest):
    publisher, subscriber = face.broadcast(address, publisher=options, latest=latest, max_messages=2)
    reader = Reader(subscriber)
    for index in range(600):
        publisher.send(np.full(size, index % 200, "u1"), topic="ab"[index % 2])
        if index % 50 == 0:
            reader.take(2)
    streams = reader.settle(publisher, "ab")
    assert {topic: stream.sent for topic, stream in streams.items()} == {"a": 300, "b": 300}
    if not latest:
        assert subscriber.statistics().missed > 0
        assert getattr(publisher.statistics(), want) == drops(publisher) == subscriber.statistics().missed
        (state,) = publisher.statistics().subscribers.values()
        assert getattr(state, want) == subscriber.statistics().missed
        assert state.sent == subscriber.statistics().received


def test_each_subscriber_misses_what_was_dropped_for_it(face, wire):
    """The others' losses are none of its own."""
    publisher = face.publisher(bind=wire, max_messages=5)
    readers = [Reader(face.subscriber(connect=publisher.address, max_messages=2)) for _ in range(3)]
    wait_until(lambda: knows(publisher, "", "", ""))
    for index in range(300):
        publisher.send(np.full(20_000, index))
        for rate, reader in enumerate(readers):
            reader.take(rate if index % 2 else 1)
    for reader in readers:
        assert reader.settle(publisher, [""])[""].sent == 300
    missed = sorted(reader.subscriber.statistics().missed for reader in readers)
    states = publisher.statistics().subscribers.values()
    assert missed == sorted(state.dropped_for_messages + state.dropped_for_bytes for state in states)
    assert sum(missed) == drops(publisher)


@pytest.mark.parametrize("latest", [False, True])
def test_who_joins_late_has_missed_nothing_before(face, address, latest):
    publisher, first = face.broadcast(address)
    for index in range(10):
        publisher.send(np.array(index), topic="a")
    subscriber = face.subscriber(connect=publisher.address, latest=latest)
    wait_until(lambda: knows(publisher, "", ""))
    for topic in ("a", "b", "a"):
        publisher.send(np.arange(3), topic=topic)
    streams = Reader(subscriber).settle(publisher, "ab")
    assert {topic: (stream.first, stream.sent, stream.missed) for topic, stream in streams.items()} == {
        "a": (10, 2, 0),
        "b": (0, 1, 0),
    }
    assert Reader(first).settle(publisher, "ab")["a"].sent == 12


def test_topics_that_nobody_asked_for_are_not_missed(face, address):
    publisher, subscriber = face.broadcast(address, ["a", "b/"], publisher={"max_messages": 1000})
    for index in range(100):
        for topic in ("a", "ab", "b", "b/", "c"):
            publisher.send(np.array(index), topic=topic)
    streams = Reader(subscriber).settle(publisher, ["a", "ab", "b/"])
    assert {topic: (stream.sent, stream.missed) for topic, stream in streams.items()} == dict.fromkeys(
        ["a", "ab", "b/"], (100, 0)
    )
    assert sorted(topic for topic, count in publisher.statistics().topics.items() if count == 100) == sorted(
        ["a", "ab", "b", "b/", "c"]
    )


def test_a_subscriber_is_restarted(face, address):
    publisher = face.publisher(bind=address)
    total = 0
    for _ in range(3):
        with face.subscriber(connect=publisher.address) as subscriber:
            wait_until(lambda: knows(publisher, ""))
            for _ in range(20):
                publisher.send(np.zeros(10), topic="a")
            stream = Reader(subscriber).settle(publisher, "a")["a"]
            assert (stream.first, stream.sent, stream.missed) == (total, 20, 0)
        wait_until(lambda: not publisher.statistics().subscribers)
        for _ in range(5):
            publisher.send(np.zeros(10), topic="a")  # to nobody
        total += 25
    assert drops(publisher) == 0


@pytest.mark.parametrize("latest", [False, True])
def test_a_publisher_is_restarted(face, wire, latest):
    """It is another source: no gap, though its numbers begin anew."""
    publisher = face.publisher(bind=wire)
    subscriber = face.subscriber(connect=publisher.address, latest=latest)
    reader = Reader(subscriber)
    for _ in range(3):
        wait_until(lambda: reader.take() or knows(publisher, ""))  # noqa: B023 - it is called here
        for index in range(10):
            publisher.send(np.array(index), topic="a")
        stream = reader.settle(publisher, "a")["a"]
        assert (stream.first, stream.sent, stream.missed) == (0, 10, 0)
        publisher.close()
        publisher = face.publisher(bind=publisher.address)
    assert len(subscriber.statistics().streams) == 3


@pytest.mark.parametrize("size", [10, 20_000])
@pytest.mark.parametrize("latest", [False, True])
def test_a_connection_is_cut_and_restored(face, cable, latest, size):
    """Neither end is touched: what was on its way is missed, what is sent later arrives, and the sum holds."""
    publisher = face.publisher(bind="tcp://127.0.0.1:0", max_messages=10_000)
    line = cable(publisher.address)
    subscriber = face.subscriber(connect=line.address, topics=["a", "b"], latest=latest, max_messages=10)
    reader = Reader(subscriber)
    for round_ in range(2):
        wait_until(lambda: reader.take() or knows(publisher, ["a", "b"]))
        for index in range(400):
            publisher.send(np.full(size, index), topic="ab"[index % 2])
            if index == 200:
                line.cut()
                reader.take(3)
        # Who is at its high-water mark does not look at its connection.
        wait_until(lambda ended=round_ + 1: reader.take() or subscriber.statistics().disconnects == ended)
    wait_until(lambda: reader.take() or knows(publisher, ["a", "b"]))
    for _ in range(10):
        publisher.send(np.zeros(size), topic="a")
    streams = reader.settle(publisher, "ab")
    assert {topic: stream.first + stream.sent for topic, stream in streams.items()} == {"a": 410, "b": 400}
    assert all(stream.first == 0 for stream in streams.values())
    assert line.accepted == 3
    if latest:
        assert reader.sequences[publisher._program.source, "a"] == 409
    else:
        assert streams["a"].missed > 0


@pytest.mark.parametrize("size", [3_750, 50_000])  # 500 of the smaller, copied ones are more than the system holds
@pytest.mark.parametrize("latest", [False, True])
def test_the_last_word_tells_what_was_dropped_at_the_end(face, address, latest, size):
    """And with ``latest=True`` the last message itself arrives, for which there was no room when it was sent."""
    publisher = face.publisher(bind=address, max_messages=4, linger=PATIENCE)
    with npt.Subscriber(connect=publisher.address, topics="a", latest=latest, max_messages=2) as subscriber:
        wait_until(lambda: knows(publisher, "a"))
        for index in range(500):
            publisher.send(np.full(size, index), topic="a")
        reader = Reader(subscriber)
        closed = threading.Event()
        reading = threading.Thread(target=wait_until, args=[lambda: reader.take() or closed.is_set()])
        reading.start()
        assert publisher.close() == 0
        closed.set()
        reading.join()
        wait_until(lambda: reader.take() or reader.streams(publisher)["a"].sent == 500)
        stream = reader.streams(publisher)["a"]
        assert (stream.first, stream.sent) == (0, 500)
        if latest:
            assert reader.sequences[publisher._program.source, "a"] == 499
        else:
            assert stream.missed == drops(publisher) > 0


def test_the_last_word_does_not_wait_for_ever(face, address, caplog):
    publisher, subscriber = face.broadcast(address, publisher={"max_messages": 4}, max_messages=2)
    for index in range(500):
        publisher.send(np.full(50_000, index))
    assert publisher.close(linger=0.1) > 0
    assert "not known to have arrived" in caplog.text
    assert not subscriber.closed
