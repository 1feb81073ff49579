"""Peers of a publisher that subscribe to nonsense, to very much, or send messages upstream: the others go on."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import zmq
from faces import address_fixture, face_fixture, knows, sockets_of_zmq_fixture, wait_until, wire_fixture  # noqa: F401
from test_junk_peers import RANDOM

import nptransport as npt
from nptransport.protocol.tags import Kind, Mode, tag

NUMBERS = [bytes([number, 255]) * 4 for number in range(100)]

SUBSCRIPTIONS = {
    "long": [bytes(5000), b"\xff" + bytes(5000), tag(Kind.COPY, NUMBERS[0], b"x" * 5000)],
    "tags cut off": [b"\xff", b"\xff!", b"\xff!" + NUMBERS[0], b"\xff=" + NUMBERS[0][:7], b"\xff?"],
    "unknown kinds": [bytes((0xFF, kind)) + NUMBERS[0] + b"q" for kind in range(0, 256, 5)],
    "unknown modes": [tag(Kind.SELF, NUMBERS[0], bytes([mode])) for mode in range(0, 100, 7)],
    "copies without a self": [tag(Kind.COPY, number, b"a") for number in NUMBERS],
    "selves without copies": [tag(Kind.SELF, number, bytes([Mode.QUEUE])) for number in NUMBERS],
    "all modes at once": [tag(Kind.SELF, NUMBERS[0], bytes([mode])) for mode in Mode],
    "behind a proxy that is none": [tag(Kind.BEHIND, number, b"a") for number in NUMBERS],
    "no text": [RANDOM(20) for _ in range(100)] + [b"\x80", b"\xc3", b"\xfe"],
    "thousands": [b"topic/%d" % index for index in range(5000)],
}


@pytest.fixture(name="peer")
def peer_fixture(sockets_of_zmq):
    """``peer(address)``: an XSUB that says whatever it likes to a publisher."""
    return lambda address: sockets_of_zmq(zmq.XSUB, address, sndhwm=0)


def asked(publisher):
    return [(number, state.topics) for number, state in publisher.statistics().subscribers.items()]


def goes_on(face, publisher, subscriber):
    """Who was there gets everything, and so does who comes later."""
    missed, topic = subscriber.statistics().missed, f"new/{publisher.statistics().messages}"
    with face.subscriber(connect=publisher.address, topics=topic) as late:
        wait_until(lambda: any(number != "plain" and topics == (topic,) for number, topics in asked(publisher)))
        for index in range(20):
            publisher.send(np.full(10 if index % 2 else 50_000, index), topic=topic)
            assert subscriber.recv()[0] == late.recv()[0] == index
        assert late.statistics().missed == 0
    assert subscriber.statistics().missed == missed


@pytest.mark.parametrize("prefixes", SUBSCRIPTIONS.values(), ids=SUBSCRIPTIONS)
def test_subscriptions_to_anything(face, address, peer, prefixes):
    publisher, subscriber = face.broadcast(address)
    socket = peer(publisher.address)
    for prefix in [*prefixes, b"and the last"]:
        socket.send(b"\1" + prefix)
    wait_until(lambda: is_heard(publisher, "and the last"))
    goes_on(face, publisher, subscriber)
    for prefix in [*prefixes, *prefixes, b"never asked for", b""]:
        socket.send(b"\0" + prefix)
    socket.send(b"\1after all")
    wait_until(lambda: is_heard(publisher, "after all"))
    goes_on(face, publisher, subscriber)
    socket.close()
    wait_until(lambda: knows(publisher, ""))
    goes_on(face, publisher, subscriber)


def test_a_subscription_that_would_cost_memory_is_not_even_taken(face, wire, peer):
    publisher, subscriber = face.broadcast(wire)
    socket = peer(publisher.address)
    before = publisher.statistics().disconnects
    socket.send(b"\1" + bytes(10_000))  # its own libzmq would not survive many more
    wait_until(lambda: publisher.statistics().disconnects > before)
    goes_on(face, publisher, subscriber)


def is_heard(publisher, topic):
    plain = publisher.statistics().subscribers.get("plain")
    return plain is not None and topic in plain.topics


def test_only_what_was_asked_for_is_counted(face, address, peer):
    publisher, _ = face.broadcast(address, "a")
    socket = peer(publisher.address)
    for _ in range(3):
        socket.send(b"\1b")
    wait_until(lambda: is_heard(publisher, "b"))
    with pytest.raises(npt.Timeout):
        publisher.wait_for_subscribers(2, topic="a", timeout=0.05)


@pytest.mark.parametrize("message", [[b""], [b"a message"], [b"\2\1\0"], [b"many", b"parts", b"\1", b"\0"]], ids=repr)
def test_messages_upstream_lead_no_subscription_astray(face, wire, peer, sockets_of_zmq, message):
    """libzmq takes the senders of notices for each other's behind such a message; nobody may get what others asked for,
    or nothing for good."""
    publisher, subscriber = face.broadcast(wire)
    socket = peer(publisher.address)
    socket.send(b"\1x")
    wait_until(lambda: is_heard(publisher, "x"))
    publisher._lock.acquire()  # all of this is there when it looks next
    try:
        socket.send_multipart(message * 3)
        readers = [face.subscriber(connect=publisher.address, topics=topic) for topic in "abc"]
        for reader in readers:
            assert not reader.statistics().streams
        plain = [sockets_of_zmq(zmq.SUB, publisher.address, topic) for topic in "de"]
        poll_until_sent(readers, plain)
    finally:
        publisher._lock.release()
    heard, index = set(), 0

    def everyone_hears():
        nonlocal index
        for topic in "abcde":
            index += 1
            publisher.send(np.array(index), topic=topic)
            assert subscriber.recv() == index
        for topic, reader in zip("abc", readers, strict=True):
            with contextlib.suppress(npt.Timeout):
                assert reader.recv_message(timeout=0.01).topic == topic
                heard.add(topic)
        for topic, each in zip("de", plain, strict=True):
            with contextlib.suppress(zmq.Again):
                assert each.recv_multipart(zmq.NOBLOCK)[0] == topic.encode()
                heard.add(topic)
        return len(heard) == 5

    wait_until(everyone_hears)
    assert subscriber.statistics().disconnects == 0
    assert {topics for number, topics in asked(publisher) if number != "plain"} == {("",), ("a",), ("b",), ("c",)}


def poll_until_sent(readers, plain):
    """Their connections are made, and what they ask for is on its way."""
    wait_until(lambda: all(reader.statistics().connections for reader in readers))
    for each in plain:
        each.poll(50)
