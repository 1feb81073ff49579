"""The log is not flooded by what peers can bring about, and nothing of it is kept back for ever."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import zmq
from calling import calling_fixture, gate_fixture, serve_fixture  # noqa: F401
from faces import (  # noqa: F401
    PATIENCE,
    address_fixture,
    face_fixture,
    needs_shm,
    new_wire_fixture,
    socket_path_fixture,
    sockets_of_zmq_fixture,
    wait_until,
    wait_until_asked,
)

import nptransport as npt
from nptransport.log import Complaints
from nptransport.protocol.words import Form, Reader, Writer

FLOOD = 2000
FEW = 40


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
        socket = sockets_of_zmq(zmq.XPUB, receiver.address)
        wait_until_asked(socket, receiver)
    for _ in range(0, FLOOD, 200):
        for _ in range(200):
            socket.send_multipart([*head, b"junk"])
        socket.send_multipart([*head, *npt.encode(np.array(1))])
        assert next(receiver) == 1
    assert receiver.statistics().malformed == FLOOD
    receiver.close()
    said = [line for line in lines(caplog) if "skipped" in line]
    assert len(said) <= FEW
    assert f"{FLOOD - 32} that were not said" in said[-1]


def test_a_flood_of_junk_at_a_server(serve, sockets_of_zmq, new_wire, caplog):
    server = serve({}, bind=new_wire())
    _flood(sockets_of_zmq(zmq.DEALER, server.address))
    wait_until(lambda: server.statistics().malformed == FLOOD)
    server.close()
    _assert_few(caplog, "skipped")


def test_a_flood_of_junk_at_a_client(calling, sockets_of_zmq, new_wire, caplog):
    client = calling(bind=new_wire())
    peer = sockets_of_zmq(zmq.DEALER, client.client.address)
    future = client.submit("method", 1)
    call, *_ = client.meanwhile(peer.recv_multipart)
    client.meanwhile(lambda: _flood(peer))
    result = [Writer().about(Reader().read(call).number, "result"), *npt.encode(2)]
    client.meanwhile(lambda: peer.send_multipart(result))
    assert client.result(future) == 2
    assert client.statistics().malformed == FLOOD
    client.close()
    _assert_few(caplog, "skipped")


def test_a_flood_of_junk_at_a_broker(sockets_of_zmq, new_wire, caplog):
    with npt.Broker(frontend=new_wire(), backend=new_wire()) as broker:
        for sent, address in enumerate((broker.frontend, broker.backend), start=1):
            _flood(sockets_of_zmq(zmq.DEALER, address))
            wait_until(lambda sent=sent: broker.statistics().malformed == sent * FLOOD)
    _assert_few(caplog, "skipped", sides=2)


def test_a_flood_of_calls_by_whom_leaves_before_they_are_answered(serve, sockets_of_zmq, new_wire, gate, caplog):
    server = serve({"wait": lambda _: gate.wait(PATIENCE)}, bind=new_wire())
    caller = sockets_of_zmq(zmq.DEALER, server.address)
    for number in range(FLOOD // 4):
        caller.send_multipart([Writer().about(number + 1, "call", "wait", Form.ONE, 1), *npt.encode(number)])
    wait_until(lambda: server.statistics().begun)
    caller.close(0)
    wait_until(lambda: server.statistics().disconnects)
    gate.set()
    wait_until(lambda: server.statistics().undelivered > 2 * FEW)
    server.close()
    _assert_few(caplog, "nobody to go to")


@needs_shm
def test_a_flood_of_junk_at_a_side_channel(socket_path, caplog):
    with npt.Consumer(bind=f"shm://{socket_path}") as consumer, npt.Producer(connect=consumer.address) as producer:
        for _ in range(2 * FEW):
            with socket.socket(socket.AF_UNIX) as junk:
                junk.settimeout(PATIENCE)
                junk.connect(producer._lender.path)
                junk.sendall(b"no words " * 3)
                wait_until(lambda junk=junk: producer.statistics() and _has_ended(junk))
    _assert_few(caplog, "broke the rules")


def _has_ended(connection):
    try:
        while connection.recv(4096, socket.MSG_DONTWAIT):
            pass  # what all who come are offered
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def _flood(socket_of_zmq):
    for _ in range(FLOOD):
        socket_of_zmq.send(b"junk")


def _assert_few(caplog, words, sides=1):
    said = [line for line in lines(caplog) if words in line]
    assert 0 < len(said) <= FEW * sides
    assert "that were not said" in said[-1]
