"""The log is not flooded by what peers can bring about, and nothing of it is kept back for ever."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from faces import address_fixture, face_fixture, sockets_of_zmq_fixture  # noqa: F401

import nptransport as npt
from nptransport.log import Complaints

FLOOD = 2000


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def complaints(clock):
    return Complaints(lambda: clock[0])


def lines(caplog):
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return said


def test_a_few_are_said_and_the_rest_in_sum(complaints, clock, caplog):
    for index in range(60_000):
        complaints.say("junk %d", index)
    said = lines(caplog)
    assert said == [f"junk {index}" for index in range(32)]
    clock[0] += 10
    complaints.say("more %s", "junk")
    assert lines(caplog) == ["more junk (and 59968 more like this before)"]
    complaints.say("again")
    complaints.settle()
    assert lines(caplog) == []
    clock[0] += 10
    complaints.settle()
    assert lines(caplog) == ["again"]


def test_the_end_keeps_nothing_back(complaints, caplog):
    for index in range(100):
        complaints.say("junk %d", index)
    complaints.settle(ending=True)
    assert lines(caplog)[-1] == "junk 99 (the last of 68 that were not said)"
    complaints.settle(ending=True)
    assert lines(caplog) == []


def test_what_comes_seldom_is_always_said(complaints, clock, caplog):
    for index in range(100):
        clock[0] += 10
        complaints.say("junk %d", index)
    assert lines(caplog) == [f"junk {index}" for index in range(100)]


@pytest.mark.parametrize("kind", ["consumer", "subscriber"])
def test_a_flood_of_junk(face, address, sockets_of_zmq, caplog, kind):
    """One line for each would fill a disk; all are counted, and the good message behind them arrives."""
    if kind == "consumer":
        receiver, head = face.consumer(bind=address), []
        socket = sockets_of_zmq(zmq.PUSH, receiver.address)
    else:
        receiver, head = face.subscriber(bind=address), [b"topic"]
        socket = _publisher(sockets_of_zmq, receiver)
    for _ in range(0, FLOOD, 200):
        for _ in range(200):
            socket.send_multipart([*head, b"junk"])
        socket.send_multipart([*head, *npt.encode(np.array(1))])
        assert next(receiver) == 1
    assert receiver.statistics().malformed == FLOOD
    receiver.close()
    said = [line for line in lines(caplog) if "skipped" in line]
    assert len(said) <= 40
    assert f"{FLOOD - 32} that were not said" in said[-1]


def _publisher(sockets_of_zmq, subscriber):
    socket = sockets_of_zmq(zmq.XPUB, subscriber.address)
    while True:
        try:
            subscriber.recv(timeout=0)
        except npt.Timeout:
            if socket.poll(1):
                return socket
