"""What passes through a proxy, on both faces: messages, accounts, who is counted, and what the proxy keeps."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import (  # noqa: F401
    address_fixture,
    face_fixture,
    new_address_fixture,
    new_wire_fixture,
    proxy_fixture,
    sockets_of_zmq_fixture,
)

import nptransport as npt
from nptransport.protocol.tags import LEAD, Kind
from nptransport.transport.parts import Parts


def received(subscriber, count):
    return [subscriber.recv_message() for _ in range(count)]


def test_many_publishers_to_many_subscribers(face, proxy):
    publishers = [face.publisher(connect=proxy.frontend) for _ in range(3)]
    subscribers = [face.subscriber(connect=proxy.backend, topics="camera/") for _ in range(2)]
    for publisher in publishers:
        publisher.wait_for_subscribers(2, topic="camera/left")
    for index, publisher in enumerate(publishers):
        publisher.send(np.full(50_000, index), topic="camera/left")
        publisher.send(np.zeros(3), topic="log")
    for subscriber in subscribers:
        messages = received(subscriber, 3)
        assert sorted(int(message.payload[-1]) for message in messages) == [0, 1, 2]
        assert {message.topic for message in messages} == {"camera/left"}
        assert len({message.source for message in messages}) == 3
    assert proxy.statistics().messages == 3  # nobody wants the log, so it is not even sent here


def test_two_proxies_in_a_row(face, proxy, new_address):
    with face.proxy(connect_frontend=proxy.backend, backend=new_address()) as second:
        publisher = face.publisher(connect=proxy.frontend)
        near, far = (face.subscriber(connect=one.backend) for one in (proxy, second))
        publisher.wait_for_subscribers(2, topic="")
        for index in range(100):
            publisher.send(np.array(index))
        for subscriber in (near, far):
            assert [int(message.payload) for message in received(subscriber, 100)] == list(range(100))
            assert subscriber.statistics().missed == subscriber.statistics().duplicates == 0


def test_subscribers_are_counted_once_and_while_they_are_there(face, proxy):
    publisher = face.publisher(connect=proxy.frontend)
    one = face.subscriber(connect=proxy.backend, topics=["a", "ab"])
    publisher.wait_for_subscribers(1, topic="abc")
    with pytest.raises(npt.Timeout):
        publisher.wait_for_subscribers(2, topic="abc", timeout=0.1)
    other = face.subscriber(connect=proxy.backend, topics="a")
    publisher.wait_for_subscribers(2, topic="abc")
    one.close()
    other.close()
    with pytest.raises(npt.Timeout):
        wait_until(lambda: publisher.wait_for_subscribers(1, topic="abc", timeout=0.1))


def test_the_account_is_exact_though_the_proxy_drops(face, new_address):
    """Whether at the end, in the middle, or of all topics: what one stream lost, is known."""
    options = {"max_messages": 4, "max_bytes": 2_000_000}
    with face.proxy(frontend=new_address(), backend=new_address(), **options) as proxy:
        publisher = face.publisher(connect=proxy.frontend)
        subscriber = face.subscriber(connect=proxy.backend, max_messages=1)
        publisher.wait_for_subscribers(1, topic="a")
        for index in range(300):
            publisher.send(np.full(50_000, index), topic="ab"[index % 2])
        publisher.close()
        got = 0

        def accounts():
            nonlocal got
            try:
                subscriber.recv(timeout=0.05)
                got += 1
            except npt.Timeout:
                pass
            streams = subscriber.statistics().streams
            return sum(stream.sent for stream in streams.values()) == 300 and streams

        streams = wait_until(accounts)
        assert {topic for _, topic in streams} == {"a", "b"}
        for stream in streams.values():
            assert stream.sent == 150 == stream.received + stream.missed
        assert sum(stream.received for stream in streams.values()) == got


def test_what_is_retained_comes_from_the_proxy_and_to_the_newcomer_only(face, new_address):
    with face.proxy(frontend=new_address(), backend=new_address(), retain=1) as proxy:
        publisher = face.publisher(connect=proxy.frontend)
        first = face.subscriber(connect=proxy.backend)
        publisher.wait_for_subscribers(1)
        for index in range(3):
            publisher.send(np.full(30_000, index), topic="map")
        assert [int(message.payload[0]) for message in received(first, 3)] == [0, 1, 2]
        late = face.subscriber(connect=proxy.backend)
        assert int(late.recv()[0]) == 2
        publisher.send(np.array([3]), topic="map")
        assert [int(one.recv()[0]) for one in (first, late)] == [3, 3]
        assert first.statistics().duplicates == late.statistics().missed == 0


def test_the_newest_through_a_proxy(face, proxy):
    publisher = face.publisher(connect=proxy.frontend)
    subscriber = face.subscriber(connect=proxy.backend, latest=True)
    publisher.wait_for_subscribers(1)
    for index in range(500):
        publisher.send(np.full(20_000, index))
    newest = wait_until(lambda: (message := subscriber.recv_message()).sequence == 499 and message)
    assert int(newest.payload[0]) == 499
    wait_until(lambda: sum(stream.sent for stream in subscriber.statistics().streams.values()) == 500)


def test_plain_sockets_on_both_sides(face, proxy, sockets_of_zmq):
    publisher, subscriber = sockets_of_zmq(zmq.PUB, proxy.frontend), sockets_of_zmq(zmq.SUB, proxy.backend)
    ours = face.subscriber(connect=proxy.backend, topics="a")
    subscriber.subscribe("a")

    def heard():
        npt.send_array(publisher, np.arange(3), topic="ab")
        try:
            return ours.recv_message(timeout=0.05)
        except npt.Timeout:
            return None

    assert wait_until(heard).topic == "ab"
    assert npt.recv_array(subscriber).tolist() == [0, 1, 2]


def test_junk_is_counted_and_the_good_goes_on(face, proxy, sockets_of_zmq):
    junk = sockets_of_zmq(zmq.PUB, proxy.frontend)
    publisher, subscriber = face.publisher(connect=proxy.frontend), face.subscriber(connect=proxy.backend)
    publisher.wait_for_subscribers(1)
    parts = [
        [b"a"],
        [b"a", b"b"],
        [b"\xfe", b""],
        [b"", b"", b""],
        [b"\x82", b"x"],
        [b"a", b"\x81\xa3npt\x01"],
        [b"\xff="],
    ]

    def some_came():
        for message in parts:
            junk.send_multipart(message)
        return proxy.statistics().malformed >= 2 * len(parts)

    wait_until(some_came)
    publisher.send(np.arange(3), topic="a")
    assert subscriber.recv().tolist() == [0, 1, 2]
    assert subscriber.statistics().missed == subscriber.statistics().malformed == 0


RESTARTED = """
    proxy = npt.Proxy(frontend=args[0], backend=args[1])
    say(proxy.frontend)
    say(proxy.backend)
    proxy.serve()
"""


def test_a_proxy_is_killed_and_started_again(face, spawn, new_wire):
    child = spawn(RESTARTED, new_wire(), new_wire())
    addresses = child.hear(), child.hear()
    publisher, subscriber = face.publisher(connect=addresses[0]), face.subscriber(connect=addresses[1])
    publisher.wait_for_subscribers(1)
    publisher.send(np.array(1))
    assert int(subscriber.recv()) == 1
    child.kill()
    again = spawn(RESTARTED, *addresses)
    assert (again.hear(), again.hear()) == addresses

    def heard():
        publisher.send(np.array(2))
        try:
            return subscriber.recv_message(timeout=0.05)
        except npt.Timeout:
            return None

    message = wait_until(heard)
    assert int(message.payload) == 2
    assert subscriber.statistics().missed == message.sequence - 1  # of one source still, and all is known


def test_closing_gives_what_is_under_way_time_to_arrive(face, spawn, new_wire):
    proxy = face.proxy(frontend=new_wire(), backend=new_wire())
    publisher = face.publisher(connect=proxy.frontend)
    child = spawn(
        """
        subscriber = npt.Subscriber(connect=args[0])
        say("here")
        hear()
        for index in range(20):
            assert subscriber.recv(timeout=10)[0] == index
        say("all")
        """,
        proxy.backend,
    )
    assert child.hear() == "here"
    publisher.wait_for_subscribers(1)
    for index in range(20):
        publisher.send(np.full(100_000, index))
    wait_until(lambda: proxy.statistics().messages == 20)
    child.say("go on")
    assert proxy.close(linger=PATIENCE) == 0
    assert child.hear() == "all"


def test_a_proxy_needs_both_sides(face, address):
    with pytest.raises(npt.AddressError, match="no address"):
        face.proxy(frontend=address)
    with pytest.raises(ValueError, match="retain"):
        face.proxy(frontend=address, backend=address, retain=2)


def test_copies_are_asked_for_before_what_they_are_copies_of(face, new_address, monkeypatch):
    """Or a publisher would count the proxy as a plain subscriber for a moment, which gets nothing of what it sends."""
    asked = []
    subscribe = Parts.subscribe

    def noted(parts, prefix, wanted):
        asked.append((parts, prefix))
        subscribe(parts, prefix, wanted)

    monkeypatch.setattr(Parts, "subscribe", noted)
    proxy = face.proxy(frontend=new_address(), backend=new_address())
    face.subscriber(connect=proxy.backend, topics="a")
    wait_until(lambda: asked[-1][1].startswith(bytes([LEAD, Kind.BEHIND])))
    ours = [prefix for parts, prefix in asked if parts is proxy._channel]
    assert ours.index(proxy._copy_tag + b"a") < ours.index(b"a")
    assert ours[-1][1] == Kind.BEHIND
