"""What a proxy knows and keeps of streams: no longer than it is true, and beside its budget."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from children import wait_until
from faces import face_fixture, new_address_fixture, sockets_of_zmq_fixture  # noqa: F401

import nptransport as npt
from nptransport.codec.envelope import MOST

MB = 1_000_000


def test_who_comes_when_all_others_have_left_misses_nothing(face, new_address):
    with face.proxy(frontend=new_address(), backend=new_address()) as proxy:
        publisher = face.publisher(connect=proxy.frontend)
        with face.subscriber(connect=proxy.backend) as first:
            publisher.wait_for_subscribers(1)
            publisher.send(np.array(0))
            assert int(first.recv()) == 0
        wait_until(lambda: not publisher.statistics().subscribers or not proxy.statistics().subscribers)
        wait_until(lambda: not [state for state in publisher.statistics().subscribers.values() if state.topics])
        for index in range(50):
            publisher.send(np.array(index))
        second = face.subscriber(connect=proxy.backend)
        publisher.wait_for_subscribers(1)
        publisher.send(np.array(99))
        assert int(second.recv()) == 99
        assert second.statistics().missed == 0


def test_what_is_retained_was_sent_before_anybody_came(face, new_address):
    with face.proxy(frontend=new_address(), backend=new_address(), retain=1) as proxy:
        publisher = face.publisher(connect=proxy.frontend)
        wait_until(lambda: [state for state in publisher.statistics().subscribers.values() if state.topics])
        for index in range(3):
            publisher.send(np.full(MB, index, "u1"), topic="settings")
        wait_until(lambda: proxy.statistics().messages == 3)
        late = face.subscriber(connect=proxy.backend, topics="set")
        assert late.recv()[0] == 2
        assert late.statistics().missed == 0


def test_what_is_retained_is_beside_the_budget_and_nothing_counts_twice(face, new_address):
    with face.proxy(frontend=new_address(), backend=new_address(), retain=1, max_bytes=16 * MB) as proxy:
        publisher = face.publisher(connect=proxy.frontend)
        subscriber = face.subscriber(connect=proxy.backend)
        publisher.wait_for_subscribers(1)
        for index in range(18):
            publisher.send(np.full(3 * MB if index % 3 else 10 * MB, index, "u1"), topic=f"topic {index % 6}")
            assert subscriber.recv()[-1] == index
            wait_until(lambda: not any(state.bytes_waiting for state in proxy.statistics().subscribers.values()))
            assert proxy.statistics().bytes_in_flight == 0  # but for the six that are retained
        assert proxy.statistics().dropped_for_bytes == 0


@pytest.mark.parametrize("sequence", [MOST, MOST - 1])
def test_the_last_of_all_sequences(face, new_address, sockets_of_zmq, sequence):
    """What follows it has no number that a word could tell."""
    with face.proxy(frontend=new_address(), backend=new_address()) as proxy:
        junk = sockets_of_zmq(zmq.PUB, proxy.frontend)
        publisher, subscriber = face.publisher(connect=proxy.frontend), face.subscriber(connect=proxy.backend)
        publisher.wait_for_subscribers(1)
        metadata, buffer = npt.encode(np.arange(3))
        envelope = (
            b"\xa8envelope\x93\xb0" + b"0123456789abcdef" + b"\xcf" + sequence.to_bytes(8, "big") + b"\xcb" + bytes(8)
        )
        message = [b"end", b"\x83" + metadata[1:6] + envelope + metadata[6:], buffer]

        def came():
            junk.send_multipart(message)
            statistics = proxy.statistics()
            return statistics.malformed if sequence == MOST else statistics.messages

        wait_until(came)
        late = face.subscriber(connect=proxy.backend)
        publisher.wait_for_subscribers(2)
        publisher.send(np.arange(3), topic="good")
        for each in (subscriber, late):
            wait_until(lambda each=each: each.recv_message().topic == "good")
