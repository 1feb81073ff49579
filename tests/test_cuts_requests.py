"""Large arrays in several parts as arguments and results, from strangers."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from calling import calling_fixture, serve_fixture  # noqa: F401
from faces import (  # noqa: F401
    PATIENCE,
    as_zmq_knows_it,
    face_fixture,
    sockets_of_zmq_fixture,
    wire_fixture,
)
from hostile import metadata
from test_cuts import BAD, U1, small_parts  # noqa: F401

import nptransport as npt
from nptransport.protocol.words import Form, Reader, Writer

GOOD = [metadata([U1], cut=[3]), bytes(4), b"", bytes(6)]


def echo(argument):
    return argument


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_server_refuses_parts_that_are_not_what_was_said(serve, wire, sockets_of_zmq, bad):
    server = serve({"echo": echo}, bind=wire)
    client = sockets_of_zmq(zmq.DEALER, server.address)
    for number, message in enumerate([GOOD, bad, GOOD]):
        client.send_multipart([Writer().about(number, "call", "echo", Form.ONE, 1), *message])
        head, *payload = client.recv_multipart()
        word = Reader().read(head)
        assert word.number == number
        if message is GOOD:
            assert word.kind == "result"
            assert np.array_equal(npt.decode(payload), np.zeros(10, np.uint8))
        else:
            assert word.kind == "error"
            assert npt.decode(payload)["type"] == "DecodeError"


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_client_refuses_parts_that_are_not_what_was_said(calling, wire, bad):
    with zmq.Context.instance().socket(zmq.ROUTER) as server:
        server.linger = 0
        server.rcvtimeo = PATIENCE * 1000
        server.bind(as_zmq_knows_it(wire))
        where = server.last_endpoint.decode() if wire.startswith("tcp") else wire
        client = calling(connect=where)
        for message in (GOOD, bad, GOOD):
            future = client.submit("echo", 1)
            peer, head, *_ = client.meanwhile(server.recv_multipart)
            number = Reader().read(head).number
            server.send_multipart([peer, Writer().about(number, "result"), *message])
            if message is GOOD:
                assert np.array_equal(client.result(future), np.zeros(10, np.uint8))
            else:
                with pytest.raises(npt.DecodeError):
                    client.result(future)
        assert client.statistics().malformed == 1
