"""Large arrays in several parts from publishers: to subscribers of both kinds, and through proxies."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from faces import (  # noqa: F401
    PATIENCE,
    address_fixture,
    bound_address,
    face_fixture,
    new_address_fixture,
    proxy_fixture,
    sockets_of_zmq_fixture,
    wait_until,
)
from hostile import metadata, pack, part
from same import difference
from test_cuts import BAD, LARGEST, PART, PAYLOADS, U1, numbered, small_parts  # noqa: F401

import nptransport as npt
from nptransport.memory.leases import Leases
from nptransport.patterns.distributing import _views
from nptransport.protocol.outlets import Outlet

ARRAY = numbered(3 * LARGEST)  # ten parts


@pytest.mark.parametrize("copy", [True, False], ids=["safe", "lent"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_is_published_is_what_arrives(face, address, payload, copy):
    publisher, subscriber = face.broadcast(address)
    for _ in range(3):
        handle = publisher.send(payload, copy=copy)
        received = subscriber.recv()
        assert difference(payload, received) is None
        if isinstance(received, np.ndarray):
            assert not received.flags.writeable
        del received  # within a process it is the publisher's memory
        if not copy:
            handle.wait(timeout=PATIENCE)
            assert handle.done
    assert wait_until(lambda: publisher.statistics().bytes_in_flight == 0)
    if not address.startswith("shm"):  # where the message says besides where the array is
        assert subscriber.statistics().nbytes == publisher.statistics().nbytes


def test_the_array_is_the_senders_again_at_once(face, address):
    publisher, subscriber = face.broadcast(address)
    array = ARRAY.copy()
    publisher.send(array)
    array[:] = 0
    assert np.array_equal(subscriber.recv(), ARRAY)


@pytest.mark.parametrize("topic", ["", "camera"])
def test_plain_sockets_and_ours_at_one_publisher(face, new_address, sockets_of_zmq, topic):
    address = new_address()
    publisher, subscriber = face.broadcast(address)
    plain = sockets_of_zmq(zmq.SUB, publisher.address)
    plain.subscribe("")
    wait_until(lambda: "plain" in publisher.statistics().subscribers)
    payload = {"a": ARRAY, "b": np.arange(3)}
    for _ in range(2):
        publisher.send(payload, topic=topic)
        assert difference(payload, subscriber.recv()) is None
    parts = plain.recv_multipart()
    assert len(parts) == bool(topic) + 1 + (1 if address.startswith("inproc") else 10) + 1
    assert difference(payload, npt.decode(parts)) is None
    assert difference(payload, npt.decode(plain.recv_multipart())) is None
    if not address.startswith("inproc"):
        assert wait_until(lambda: publisher.statistics().bytes_in_flight == 0)


def test_memory_of_what_was_received_is_used_again(face, address):
    if not address.startswith(("tcp", "ipc")):
        pytest.skip("nothing is cut within a process, nor in shared memory")
    publisher, subscriber = face.broadcast(address)
    held = []
    for number in range(3):
        publisher.send(ARRAY + np.uint8(number))
        held.append(subscriber.recv())
    for number, array in enumerate(held):
        assert np.array_equal(array, ARRAY + np.uint8(number))
    places = {array.ctypes.data for array in held}
    del array, held
    publisher.send(ARRAY)
    assert subscriber.recv().ctypes.data in places


def test_what_is_retained_is_beside_the_budget(face, address):
    with face.publisher(bind=address, retain=1) as publisher:
        for number in range(3):
            publisher.send(ARRAY + np.uint8(number))
        for _ in range(2):
            late = face.subscriber(connect=publisher.address)
            assert np.array_equal(late.recv(), ARRAY + np.uint8(2))
        assert wait_until(lambda: publisher.statistics().bytes_in_flight == 0)


def test_the_newest_of_many(face, address):
    publisher, subscriber = face.broadcast(address, latest=True)
    for number in range(20):
        publisher.send(ARRAY + np.uint8(number))
    last = -1
    while last < 19:
        array = subscriber.recv()
        assert np.array_equal(array, ARRAY + array[0])  # all of one message
        assert last < array[0]
        last = array[0]
        del array
    statistics = subscriber.statistics()
    assert statistics.received + statistics.skipped + statistics.missed == 20
    assert statistics.malformed == 0


def test_what_is_too_old_is_counted_and_its_memory_is_free(face, address):
    publisher, subscriber = face.broadcast(address, max_age=1e-9)
    for _ in range(3):
        publisher.send(ARRAY)

    def all_are_stale():
        with pytest.raises(npt.Timeout):
            subscriber.recv(timeout=0.01)
        return subscriber.statistics().stale == 3

    assert wait_until(all_are_stale)
    assert wait_until(lambda: publisher.statistics().bytes_in_flight == 0)


def check_account(subscriber, count):
    """Of ``count`` messages each arrives whole and in its turn, or is counted as missed; how many arrive."""
    got = []

    def all_are_told():
        try:
            array = subscriber.recv(timeout=0.01)
            assert np.array_equal(array, ARRAY + array[0])
            got.append(int(array[0]))
        except npt.Timeout:
            pass
        return [stream.sent for stream in subscriber.statistics().streams.values()] == [count]

    assert wait_until(all_are_told)
    assert got == sorted(set(got))
    assert len(got) + subscriber.statistics().missed == count
    return len(got)


def test_the_account_is_exact_though_whole_messages_are_dropped(face, address):
    publisher, subscriber = face.broadcast(address, publisher={"max_bytes": 4 * len(ARRAY)}, max_messages=1)
    for number in range(50):
        publisher.send(ARRAY + np.uint8(number))
    assert check_account(subscriber, 50) < 50


def test_a_message_waits_until_its_last_part_has_left():
    leases, outlet = Leases(2**20), Outlet(bytes(8))
    views = _views(outlet, [b"metadata", *(leases.copy(bytes(PART)) for _ in range(3)), b"rest"])
    assert (views[0], views[-1]) == (b"metadata", b"rest")
    for left in (3, 2, 1):
        assert (outlet.waiting.messages, outlet.waiting.nbytes, leases.nbytes) == (1, left * PART, left * PART)
        del views[1]
    assert (outlet.waiting.messages, outlet.waiting.nbytes, leases.nbytes) == (0, 0, 0)


# Through proxies


def through(face, proxy, **options):
    """A publisher before ``proxy``, and a subscriber behind it, of which it knows."""
    publisher = face.publisher(connect=proxy.frontend)
    subscriber = face.subscriber(connect=proxy.backend, **options)
    publisher.wait_for_subscribers(1, topic="")
    return publisher, subscriber


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_through_a_proxy(face, proxy, payload):
    publisher, subscriber = through(face, proxy)
    for _ in range(3):
        publisher.send(payload)
        assert difference(payload, subscriber.recv()) is None
    assert subscriber.statistics().missed == 0
    assert wait_until(lambda: proxy.statistics().bytes_in_flight == 0)


def test_a_proxy_drops_whole_messages(face, new_address):
    options = {"max_messages": 4, "max_bytes": 4 * len(ARRAY)}
    with face.proxy(frontend=new_address(), backend=new_address(), **options) as proxy:
        publisher, subscriber = through(face, proxy, max_messages=1)
        for number in range(50):
            publisher.send(ARRAY + np.uint8(number))
        publisher.close()
        check_account(subscriber, 50)


def test_a_proxy_retains_all_parts(face, new_address):
    with face.proxy(frontend=new_address(), backend=new_address(), retain=1) as proxy:
        publisher, first = through(face, proxy)
        publisher.send(ARRAY)
        assert np.array_equal(first.recv(), ARRAY)
        assert np.array_equal(face.subscriber(connect=proxy.backend).recv(), ARRAY)
        first.close()
        assert wait_until(lambda: proxy.statistics().bytes_in_flight == 0)


# From strangers


@pytest.fixture(name="listening", params=["straight", "by proxy"])
def listening_fixture(face, new_address, sockets_of_zmq, request):
    """A socket that publishes, a subscriber that gets it, and the proxy that may be between them."""
    proxy = None
    if request.param == "straight":
        address = new_address()
        stranger = sockets_of_zmq(zmq.XPUB, address, bind=True)
        subscriber = face.subscriber(connect=bound_address(stranger) if address.startswith("tcp") else address)
    else:
        proxy = face.proxy(frontend=new_address(), backend=new_address())
        subscriber = face.subscriber(connect=proxy.backend)
        stranger = sockets_of_zmq(zmq.XPUB, proxy.frontend)
    while stranger.recv() != b"\x01":
        pass
    return stranger, subscriber, proxy


GOOD = {
    "in parts": [metadata([U1], cut=[3]), bytes(4), b"", bytes(6)],
    "in one part": [metadata([U1], cut=[1]), bytes(10)],
    "large in one part, and small in two": [
        metadata([["|u1", [2 * LARGEST]], U1], cut=[1, 2], tree=pack([part(0), part(1)])),
        bytes(2 * LARGEST),
        bytes(9),
        bytes(1),
    ],
}


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD)
def test_whatever_the_parts_are_they_are_put_together(listening, message):
    stranger, subscriber, _ = listening
    for _ in range(2):
        stranger.send_multipart(message)
        assert difference(npt.decode(message), subscriber.recv()) is None


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_parts_that_are_not_what_was_said(listening, bad):
    stranger, subscriber, proxy = listening
    for message in (GOOD["in parts"], bad, GOOD["in parts"]):
        stranger.send_multipart(message)
    received, refused = [], []
    while len(received) < 2:
        try:
            received.append(subscriber.recv())
        except npt.DecodeError as error:
            refused.append(error)
    for array in received:
        assert np.array_equal(array, np.zeros(10, np.uint8))
    assert all(error.expected for error in refused)
    assert subscriber.statistics().malformed == len(refused)
    assert len(refused) + (proxy.statistics().malformed if proxy is not None else 0) == 1
