"""The context is terminated under an endpoint: it is closed, as it says of itself, and the context comes to its end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import zmq
from faces import PATIENCE, Endpoint, face_fixture, wait_until  # noqa: F401

import nptransport as npt

BIND, NOBODY = {"bind": "tcp://127.0.0.1:*"}, {"connect": "tcp://127.0.0.1:9"}
BETWEEN = {"frontend": BIND["bind"], "backend": BIND["bind"]}


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@contextlib.contextmanager
def terminated(context: zmq.Context) -> Iterator[None]:
    """Within it the context waits for its sockets to be closed; behind it, it has come to its end."""
    notices = context.socket(zmq.PAIR)  # an operation of libzmq's fails from the moment on
    thread = threading.Thread(target=context.term, daemon=True)
    thread.start()
    wait_until(lambda: _fails(notices))
    notices.close(0)
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


def _fails(socket: zmq.Socket) -> bool:
    try:
        socket.get(zmq.EVENTS)
    except zmq.ContextTerminated:
        return True
    return False


USES = {
    "Consumer": (BIND, [lambda each: each.recv(), lambda each: each.recv(timeout=0), lambda each: each.recv_message()]),
    "Producer": (BIND, [lambda each: each.send(np.zeros(3)), lambda each: each.send(np.zeros(10**6))]),
    "Subscriber": (NOBODY, [lambda each: each.recv()]),
    "Publisher": (BIND, [lambda each: each.send(np.zeros(10**6)), lambda each: each.wait_for_subscribers(1)]),
    "Client": (NOBODY, [lambda each: each.call("x")]),
    "Server": (BIND, [lambda each: each.serve()]),
    "Worker": (NOBODY, [lambda each: each.serve()]),
    "Broker": (BETWEEN, [lambda each: each.serve()]),
    "Proxy": (BETWEEN, [lambda each: each.serve()]),
}


@pytest.mark.parametrize("kind", USES)
def test_every_use_says_that_it_is_closed(face, kind: str, context: zmq.Context) -> None:
    where, uses = USES[kind]
    endpoint = Endpoint(getattr(face.package, kind)(context=context, **where), face.run)
    with terminated(context):
        for use in uses:
            with pytest.raises(npt.ConnectionClosed, match="terminated"):
                use(endpoint)
        endpoint.close()


def test_whoever_waits_hears_of_it(face, context: zmq.Context) -> None:
    consumer = face.consumer(context=context, **BIND)
    terminator = threading.Timer(0.1, context.term)
    terminator.start()
    assert list(consumer) == []
    with pytest.raises(npt.ConnectionClosed, match="terminated"):
        consumer.recv()
    consumer.close()
    terminator.join(PATIENCE)
    assert not terminator.is_alive()


def test_a_future_does_not_wait_for_ever(context: zmq.Context) -> None:
    client = npt.Client(context=context, **NOBODY)
    future = client.submit("x")
    with terminated(context):
        assert isinstance(future.exception(PATIENCE), npt.ConnectionClosed)
        client.close()


@contextlib.contextmanager
def destroyed(context: zmq.Context) -> Iterator[None]:
    """pyzmq closes all sockets of the context, ours among them."""
    context.destroy(linger=0)
    yield


@pytest.mark.parametrize("ended", [terminated, destroyed])
def test_what_was_sent_is_not_taken_for_delivered(face, context: zmq.Context, ended: Callable, caplog) -> None:
    consumer = face.consumer(**BIND)
    producer = face.producer(connect=consumer.address, context=context)
    producer.send(np.zeros(3))
    wait_until(lambda: producer.statistics().connections)
    with ended(context):
        assert producer.statistics().connections == 0  # whose descriptors are soon others'
        assert producer.close() == 1
    assert "terminated" in caplog.text


def test_a_context_that_has_come_to_its_end(face, context: zmq.Context) -> None:
    context.term()
    with pytest.raises(npt.TransportError, match="context="):
        face.consumer(context=context, **BIND)


@pytest.mark.parametrize("sockets", [1, 2])
def test_a_context_without_room(face, context: zmq.Context, sockets: int) -> None:
    """An endpoint needs two, and says so whichever of them cannot be had."""
    context.set(zmq.MAX_SOCKETS, sockets)
    with pytest.raises(npt.TransportError, match="context="):
        face.consumer(context=context, **BIND)
