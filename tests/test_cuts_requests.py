"""Large arrays in several parts as arguments and results: straight, by a broker, sent again, and from strangers."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from calling import calling_fixture, serve_fixture  # noqa: F401
from faces import (  # noqa: F401
    PATIENCE,
    address_fixture,
    bound_address,
    face_fixture,
    new_wire_fixture,
    socket_path_fixture,
    sockets_of_zmq_fixture,
    wait_until,
    wire_fixture,
)
from hostile import metadata
from same import difference
from test_cuts import BAD, LARGEST, PAYLOADS, U1, numbered, small_parts  # noqa: F401

import nptransport as npt
from nptransport.protocol.words import Form, Reader, Writer

ARRAY = numbered(3 * LARGEST)  # ten parts
GOOD = [metadata([U1], cut=[3]), bytes(4), b"", bytes(6)]


def echo(*args, **kwargs):
    return args[0] if len(args) == 1 and not kwargs else [list(args), kwargs]


def invert(array):
    assert not array.flags.writeable
    return ~array


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_is_called_with_is_what_comes_back(serve, calling, address, payload):
    server = serve({"echo": echo}, bind=address)
    client = calling(connect=server.address)
    for _ in range(3):
        assert difference(payload, client.call("echo", payload)) is None
    assert difference([[payload, 1], {"more": payload}], client.call("echo", payload, 1, more=payload)) is None
    assert difference(payload, client.result(client.submit("echo", payload))) is None
    assert client.statistics().malformed == server.statistics().malformed == 0


def test_many_at_once(serve, calling, address):
    server = serve({"invert": invert}, bind=address, threads=3)
    arrays = [ARRAY + np.uint8(number) for number in range(20)]
    results = calling(connect=server.address).map("invert", arrays)
    for array, result in zip(arrays, results, strict=True):
        assert np.array_equal(result, ~array)
        assert not result.flags.writeable


def test_the_arguments_are_the_callers_again_at_once(serve, calling, address):
    server = serve({"echo": echo}, bind=address)
    client = calling(connect=server.address)
    array = ARRAY.copy()
    future = client.submit("echo", array)
    array[:] = 0
    assert np.array_equal(client.result(future), ARRAY)


def test_memory_of_results_is_used_again(serve, calling, address):
    if not address.startswith(("tcp", "ipc")):
        pytest.skip("nothing is cut within a process, nor in shared memory")
    server = serve({"echo": echo}, bind=address)
    client = calling(connect=server.address)
    held = [client.call("echo", ARRAY + np.uint8(number)) for number in range(3)]
    for number, array in enumerate(held):
        assert np.array_equal(array, ARRAY + np.uint8(number))
    places = {array.ctypes.data for array in held}
    del array, held
    assert client.call("echo", ARRAY).ctypes.data in places


def test_through_a_broker_which_counts_what_was_cut_as_what_it_is(face, serve, calling, new_wire):
    """More parts than arrays are allowed, and passed on as they came."""
    limits = npt.Limits(max_parts=4)
    broker = face.broker(frontend=new_wire(), backend=new_wire(), limits=limits)
    serve({"invert": invert, "echo": echo}, kind="Worker", connect=broker.backend, limits=limits)
    client = calling(connect=broker.frontend, limits=limits)
    wait_until(lambda: broker.statistics().workers)
    for _ in range(3):
        assert np.array_equal(client.call("invert", ARRAY), ~ARRAY)
    assert difference([[ARRAY, ARRAY], {}], client.call("echo", ARRAY, ARRAY)) is None
    assert broker.statistics().malformed == 0


def test_a_call_is_sent_again_with_all_its_parts(face, serve, calling, socket_path):
    address = f"ipc://{socket_path}"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as deaf:  # at the end of which the address is free
        deaf.linger = 0
        deaf.rcvtimeo = PATIENCE * 1000
        deaf.bind(address)
        client = calling(connect=address)
        future = client.submit("invert", ARRAY)
        assert len(client.meanwhile(deaf.recv_multipart)) == 2 + 1 + 10
    serve({"invert": invert}, bind=address)
    assert np.array_equal(client.result(future), ~ARRAY)
    assert client.statistics().resent == 1


def test_an_answer_goes_in_parts(serve, wire, sockets_of_zmq):
    server = serve({"echo": echo}, bind=wire)
    client = sockets_of_zmq(zmq.DEALER, server.address)
    for _ in range(2):
        client.send_multipart([Writer().about(1, "call", "echo", Form.ONE, 1), *npt.encode(ARRAY)])
        _, *payload = client.recv_multipart()
        assert len(payload) == (1 + 10 if not wire.startswith("shm") else 1)
        if len(payload) > 1:
            assert np.array_equal(npt.decode(payload), ARRAY)


# From strangers


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
def test_a_client_refuses_parts_that_are_not_what_was_said(calling, wire, sockets_of_zmq, bad):
    server = sockets_of_zmq(zmq.ROUTER, wire, bind=True)
    client = calling(connect=bound_address(server) if wire.startswith("tcp") else wire)
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
