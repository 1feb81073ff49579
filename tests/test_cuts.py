"""Large arrays in several parts: cut, put together in warm memory, refused where the parts are not what was said."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import zmq
from faces import PATIENCE, address_fixture, face_fixture, sockets_of_zmq_fixture  # noqa: F401
from hostile import metadata
from hypothesis import given
from hypothesis import strategies as st
from same import difference
from test_junk_peers import push_fixture  # noqa: F401

import nptransport as npt
from nptransport.codec import cuts, packing
from nptransport.memory.leases import Leases

LARGEST, PART = 100_000, 30_000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(cuts, "LARGEST", LARGEST)
    monkeypatch.setattr(cuts, "MAPPED", LARGEST)
    monkeypatch.setattr(cuts, "_PART", PART)


def numbered(nbytes):
    return np.arange(nbytes, dtype=np.uint32).view(np.uint8)[:nbytes]


@given(st.lists(st.integers(0, 5 * LARGEST), max_size=4))
def test_what_is_cut_can_be_joined(sizes):
    frames = [b"metadata", *(numbered(size).tobytes() for size in sizes)]
    entry = cuts.cut_entry(frames)
    parts = cuts.cut(frames)
    assert (entry is None) == (max(sizes, default=0) <= LARGEST)
    if entry is None:
        assert parts == frames
        return
    ((key, value),) = packing.unpack(b"\x81" + entry, npt.Limits()).items()
    assert key == "cut"
    counts = cuts.read_cut(value, len(sizes), npt.Limits())
    assert [bytes(buffer) for buffer in cuts.join(parts[1:], counts)] == frames[1:]
    assert max(map(len, parts)) <= LARGEST


@given(st.lists(st.integers(0, 5 * LARGEST), max_size=4))
def test_slices_are_what_is_cut(sizes):
    buffers = [numbered(size).tobytes() for size in sizes]
    entry, parts = cuts.slices(buffers)
    assert entry == cuts.cut_entry([b"metadata", *buffers])
    assert [bytes(part) for part in parts] == [bytes(part) for part in cuts.cut(buffers)]


def test_a_part_keeps_the_very_object_that_it_was_cut_from():
    view = memoryview(bytearray(3 * LARGEST))
    gone = weakref.ref(view)
    last = cuts.cut([view])[-1]
    del view
    gc.collect()
    assert gone() is not None
    del last
    gc.collect()
    assert gone() is None


PAYLOADS = {
    "as large as one part may be": numbered(LARGEST),
    "one byte more": numbered(LARGEST + 1),
    "whole parts": numbered(5 * PART),
    "fortran": np.asfortranarray(np.arange(60_000.0).reshape(200, 300)),
    "structured": np.zeros(20_000, [("a", "<i4"), ("b", "<f8", 2)]),
    "booleans": np.arange(2 * LARGEST) % 3 == 0,
    "a nest": {"image": numbered(3 * LARGEST), "box": [np.arange(4), "left"], "raw": bytes(range(256)) * 1000},
    "texts": np.array(["a" * 40_000, "ξ" * 40_000], "U40000"),
}


@pytest.mark.parametrize("copy", [True, False], ids=["safe", "lent"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_is_sent_is_what_arrives(face, address, payload, copy):
    producer, consumer = face.pair(address)
    for _ in range(3):
        handle = producer.send(payload, copy=copy)
        received = consumer.recv(timeout=PATIENCE)
        assert difference(payload, received) is None
        if isinstance(received, np.ndarray):
            assert not received.flags.writeable
        del received  # within a process it is the sender's memory
        if not copy:
            handle.wait(timeout=PATIENCE)
            assert handle.done
    assert consumer.statistics().nbytes == producer.statistics().nbytes


def test_copies_and_out(face, address):
    producer, consumer = face.pair(address)
    array = numbered(3 * LARGEST)
    for _ in range(2):
        producer.send(array)
    own = consumer.recv(timeout=PATIENCE, copy=True)
    own += 1
    out = np.empty_like(array)
    assert consumer.recv(timeout=PATIENCE, out=out) is out
    assert np.array_equal(out, array)


def test_received_arrays_stay_and_their_memory_is_used_again(face, address):
    if not address.startswith(("tcp", "ipc")):
        pytest.skip("nothing is cut within a process, nor in shared memory")
    producer, consumer = face.pair(address)
    held = []
    for number in range(3):
        producer.send(numbered(3 * LARGEST) + np.uint8(number))
        held.append(consumer.recv(timeout=PATIENCE))
    for number, array in enumerate(held):
        assert np.array_equal(array, numbered(3 * LARGEST) + np.uint8(number))
    places = {array.ctypes.data for array in held}
    assert len(places) == 3
    del array, held
    producer.send(numbered(3 * LARGEST))
    assert consumer.recv(timeout=PATIENCE).ctypes.data in places


def test_plain_sockets_and_decode_read_them():
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.bind("tcp://127.0.0.1:*")
        with npt.Producer(connect=pull.last_endpoint.decode()) as producer:
            payload = {"a": numbered(3 * LARGEST), "b": np.arange(3)}
            for _ in range(2):
                producer.send(payload)
            parts = pull.recv_multipart()
            assert len(parts) == 1 + 10 + 1
            assert difference(payload, npt.decode(parts)) is None
            assert difference(payload, npt.recv_array(pull)) is None


U1 = ["|u1", [10]]
BAD = {
    "a part too few": [metadata([U1], cut=[2]), bytes(10)],
    "a part too many": [metadata([U1], cut=[2]), bytes(5), bytes(5), b""],
    "too short": [metadata([U1], cut=[2]), bytes(5), bytes(4)],
    "too long": [metadata([U1], cut=[2]), bytes(5), bytes(6)],
    "far too long": [metadata([U1], cut=[2]), bytes(5000), bytes(6)],
    "no part": [metadata([U1], cut=[0])],
    "less than none": [metadata([U1], cut=[-1]), bytes(10)],
    "numbers for others": [metadata([U1], cut=[1, 1]), bytes(10), b""],
    "no numbers": [metadata([U1], cut=[]), bytes(10)],
    "no list": [metadata([U1], cut=2), bytes(5), bytes(5)],
    "true": [metadata([U1], cut=[True]), bytes(10)],
    "no whole number": [metadata([U1], cut=[2.0]), bytes(5), bytes(5)],
    "more parts than can be": [metadata([U1], cut=[2**40]), bytes(5), bytes(5)],
    "nothing at all": [metadata([["|u1", [2**30]]], cut=[300])],
    "elsewhere, too": [metadata([U1], cut=[2], shared=bytes(44)), bytes(5), bytes(5)],
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_parts_that_are_not_what_was_said(face, address, push, bad):
    consumer = face.consumer(bind=address)
    socket = push(consumer.address)
    good = [metadata([U1], cut=[3]), bytes(4), b"", bytes(6)]
    for message in (good, bad, good, bad, bad, good):
        socket.send_multipart(message)
    for index in range(6):
        if index in (0, 2, 5):
            assert np.array_equal(consumer.recv(timeout=PATIENCE), np.zeros(10, np.uint8))
        else:
            with pytest.raises(npt.DecodeError) as caught:
                consumer.recv(timeout=PATIENCE)
            assert caught.value.expected
    assert consumer.statistics().malformed == 3
    if "shared" not in str(bad[0]):
        with pytest.raises(npt.DecodeError):
            npt.decode(bad)


def test_a_small_array_that_comes_cut_teaches_no_short_cut(face, address, push):
    consumer = face.consumer(bind=address)
    socket = push(consumer.address)
    for envelope in range(5):
        socket.send_multipart([metadata([U1], cut=[2], envelope=["0" * 16, envelope, 1.5]), bytes(5), bytes(5)])
        assert len(consumer.recv(timeout=PATIENCE)) == 10
    assert consumer.statistics().malformed == 0


def test_the_pool_keeps_no_more_than_its_budget():
    pool = Leases(3 * LARGEST)
    leases = [pool.lease(2 * LARGEST) for _ in range(4)]
    del leases
    assert pool.nbytes == 0
    assert sum(idle.nbytes for idle in pool._idle) < 3 * LARGEST
    larger = pool.lease(9 * LARGEST)
    place = larger.ctypes.data
    del larger
    assert pool.lease(9 * LARGEST).ctypes.data == place  # one is kept however large it is: the next is as large
