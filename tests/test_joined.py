"""Small messages in one part: what goes so, what it is when it arrives, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import zmq
from faces import address_fixture, bound_address, face_fixture, indices, sockets_of_zmq_fixture  # noqa: F401
from hostile import metadata
from hypothesis import given
from hypothesis import strategies as st
from same import difference
from strategies import payloads
from test_junk_peers import JUNK, push_fixture  # noqa: F401
from test_stream import PAYLOADS

import nptransport as npt
from nptransport.codec import framing
from nptransport.codec.encoder import Encoder
from nptransport.codec.envelope import EnvelopeWriter
from nptransport.codec.framing import MOST_AROUND, MOST_JOINED, SIGNATURE, is_blob, join_frames, should_join, split_blob
from nptransport.codec.metadata import ALONE


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_joined_can_be_split(frames):
    blob = join_frames(frames)
    assert is_blob(blob)
    assert [bytes(frame) for frame in split_blob(blob, npt.Limits())] == frames
    if should_join(frames):
        assert len(blob) <= sum(map(len, frames)) + MOST_AROUND


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_around_a_pair_is_what_joins_it(metadata, buffer):
    before, between = framing.around(len(metadata), len(buffer))
    assert before + metadata + between + buffer == join_frames([metadata, buffer])
    assert framing.buffer_at(len(metadata)) == len(before + metadata + between)


@given(payloads())
def test_decode_takes_a_blob_for_a_message(payload):
    assert difference(payload, npt.decode([npt.dumps(payload)])) is None


SIZES = [0, 1, 1000, MOST_JOINED - 64, MOST_JOINED, MOST_JOINED + 64, 3 * MOST_JOINED]


@pytest.mark.parametrize("copy", [True, False], ids=["safe", "lent"])
@pytest.mark.parametrize("dtype", ["u1", ">f4", "g", "M8[us]", "?", [("a", "i1"), ("b", "f8")]], ids=str)
def test_arrays_of_all_sizes_in_turn(face, address, dtype, copy):
    """The way changes from one message to the next, and so does what the consumer expects."""
    producer, consumer = face.pair(address)
    itemsize = np.dtype(dtype).itemsize
    sent = [np.zeros(size // itemsize, dtype) for size in [*SIZES, *SIZES, *reversed(SIZES)]]
    for number, array in enumerate(sent):
        array.view("u1")[:] = number % 2 if dtype == "?" else number
        producer.send(array, copy=copy)
    for number, array in enumerate(sent):
        message = consumer.recv_message()
        assert difference(array, message.payload) is None
        assert message.sequence == number
        assert not message.payload.flags.writeable
        assert message.payload.flags.aligned
    assert consumer.statistics().nbytes == producer.statistics().nbytes


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_nests_of_all_sizes_in_turn(face, address, payload):
    producer, consumer = face.pair(address)
    for _ in range(3):
        producer.send(payload)
        producer.send(np.arange(3))
        assert difference(payload, consumer.recv()) is None
        assert consumer.recv(copy=True).flags.writeable
        producer.send(np.arange(3))
        out = np.empty(3, int)
        assert consumer.recv(out=out) is out
        assert out.tolist() == [0, 1, 2]
    assert consumer.statistics().nbytes == producer.statistics().nbytes


def test_a_stream_of_two_layouts_of_one_length(face, address):
    producer, consumer = face.pair(address)
    for number in range(20):
        array = np.full((4, 25), number, "<i4") if number % 2 else np.full(100, number, "<f4")
        producer.send(array)
        assert difference(array, consumer.recv()) is None


def test_what_is_kept_of_a_message_does_not_change(face, address):
    producer, consumer = face.pair(address)
    for number in range(10):
        producer.send(np.full(100, number))
    held = [consumer.recv() for _ in range(10)]
    assert [array.tolist() for array in held] == [[number] * 100 for number in range(10)]


def test_several_producers_of_like_arrays_are_told_apart(face, address):
    consumer = face.consumer(bind=address)
    producers = [face.producer(connect=consumer.address) for _ in range(3)]
    for number in range(5):
        for index, producer in enumerate(producers):
            producer.send(np.full(100, 10 * index + number))
    rows = {}
    for _ in range(15):
        message = consumer.recv_message()
        rows.setdefault(message.source, []).append((message.sequence, int(message.payload[0])))
    assert sorted(rows.values()) == [[(number, 10 * index + number) for number in range(5)] for index in range(3)]
    assert consumer.statistics().missed == 0


@pytest.fixture(name="pull")
def pull_fixture(sockets_of_zmq):
    return sockets_of_zmq(zmq.PULL, "tcp://127.0.0.1:*", bind=True)


def test_plain_sockets_read_them(pull):
    for payload in (np.arange(100), {"a": np.arange(3), "b": [np.zeros((2, 2)), "text"]}, {"no": "array"}):
        with npt.Producer(connect=bound_address(pull)) as producer:
            for _ in range(2):
                producer.send(payload)
            blob, *nothing = pull.recv_multipart()
            assert not nothing
            if not isinstance(payload, dict) or "no" not in payload:
                assert difference(payload, npt.loads(blob)) is None
            assert difference(payload, npt.decode([blob])) is None
            assert difference(payload, npt.recv_array(pull)) is None


def test_recv_array_leaves_what_follows(push, pull):
    socket = push(bound_address(pull))
    socket.send_multipart([npt.dumps(np.arange(3)), b"mine"])
    assert npt.recv_array(pull).tolist() == [0, 1, 2]
    assert pull.recv() == b"mine"
    socket.send_multipart([npt.dumps(np.arange(3))[:-1], b"mine"])
    with pytest.raises(npt.DecodeError):
        npt.recv_array(pull)
    socket.send_multipart([npt.dumps(np.arange(4))])
    assert npt.recv_array(pull).tolist() == [0, 1, 2, 3]


# Refused

PAIR = [metadata([["|u1", [3]]]), b"abc"]
BAD = {
    "cut off": join_frames(PAIR)[:-1],
    "signature only": SIGNATURE,
    "header only": SIGNATURE + bytes(8),
    "more behind": join_frames(PAIR) + b"\0",
    "no frames": join_frames([]),
    "a frame too few": join_frames(PAIR[:1]),
    "a frame too many": join_frames([*PAIR, b""]),
    "a topic": join_frames([b"camera", *PAIR]),
    "a blob within": join_frames([join_frames(PAIR)]),
    "another version": join_frames([PAIR[0].replace(b"npt\x01", b"npt\x02"), PAIR[1]]),
    "elsewhere": join_frames([metadata([["|u1", [3]]], shared=bytes(44))]),
    "elsewhere and here": join_frames([metadata([["|u1", [3]]], shared=bytes(44)), b"abc"]),
    "metadata enormous": join_frames([PAIR[0][:1] + bytes(2**21), PAIR[1]]),
    "frames without end": SIGNATURE + b"\xff" * 100,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_malformed_one_is_refused(face, address, push, bad):
    consumer = face.consumer(bind=address)
    socket = push(consumer.address)
    for message in ([join_frames(PAIR)], [bad], [bad], [join_frames(PAIR)], PAIR, [bad], PAIR):
        socket.send_multipart(message)
    outcomes = []
    for _ in range(7):
        try:
            outcomes.append(bytes(consumer.recv()))
        except npt.DecodeError as error:
            outcomes.append(bool(error.expected and error.found))
    assert outcomes == [b"abc", True, True, b"abc", b"abc", True, b"abc"]
    assert (consumer.statistics().messages, consumer.statistics().malformed) == (4, 3)
    with pytest.raises(npt.DecodeError):
        npt.decode([bad])


NUMBERED = EnvelopeWriter("0123456789abcdef", ALONE)
NUMBERED_PAIR = [bytes(frame) for frame in Encoder().encode(np.arange(3), NUMBERED.entry(1.0))]
NEARLY = {
    "a frame of nothing in front": [NUMBERED_PAIR[0], b"", NUMBERED_PAIR[1]],
    "a frame of nothing behind": [*NUMBERED_PAIR, b""],
    "a byte too few": [NUMBERED_PAIR[0], NUMBERED_PAIR[1][:-1]],
    "a byte too many": [NUMBERED_PAIR[0], NUMBERED_PAIR[1] + b"\0"],
    "no time": [NUMBERED_PAIR[0].replace(NUMBERED.entry(1.0), NUMBERED.entry(np.nan)), NUMBERED_PAIR[1]],
}


@pytest.mark.parametrize("nearly", NEARLY.values(), ids=NEARLY)
def test_what_looks_like_one_before_is_refused_each_time(face, address, push, nearly):
    consumer = face.consumer(bind=address)
    socket = push(consumer.address)
    for message in (nearly, NUMBERED_PAIR, nearly, nearly, NUMBERED_PAIR, nearly):
        socket.send(join_frames(message))
        if message is nearly:
            with pytest.raises(npt.DecodeError):
                consumer.recv()
        else:
            assert consumer.recv().tolist() == [0, 1, 2]


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_between_messages_of_one_part(face, address, push, junk):
    consumer = face.consumer(bind=address)
    socket = push(consumer.address)
    for message in ([npt.dumps(np.array(0))], junk, [npt.dumps(np.array(1))], junk, junk, [npt.dumps(np.array(2))]):
        socket.send_multipart(message)
    got = []
    for _ in range(6):
        try:
            got.append(int(consumer.recv()))
        except npt.DecodeError:
            got.append(None)
    assert got == [0, None, 1, None, None, 2]


def test_what_follows_in_the_same_message_is_the_next(face, address, push):
    """Whatever is in front, known or not: a blob is all of its message."""
    consumer = face.consumer(bind=address)
    socket = push(consumer.address)
    blobs = [npt.dumps(np.array(number)) for number in range(3)]
    for _ in range(2):
        socket.send_multipart([blobs[0], blobs[1], *npt.encode(np.array(2))])
        assert indices(consumer, 3) == [0, 1, 2]
        socket.send_multipart([blobs[0], b"\xff", blobs[1]])
        assert consumer.recv() == 0
        with pytest.raises(npt.DecodeError):
            consumer.recv()
        socket.send_multipart([blobs[2]])
        assert consumer.recv() == 2
    with pytest.raises(npt.DecodeError):
        npt.decode([blobs[0], b""])


def test_limits_count_what_was_joined_and_not_what_is_around_it(face, address):
    consumer = face.consumer(bind=address, limits=npt.Limits(max_total_bytes=300))
    producer = face.producer(connect=consumer.address)
    producer.send(np.zeros(150, "u1"))
    consumer.recv()
    metadata_bytes = consumer.statistics().nbytes - 150
    for size in (300 - metadata_bytes, 301 - metadata_bytes, 900, 150):
        producer.send(np.zeros(size, "u1"))
        if metadata_bytes + size <= 300:
            assert consumer.recv().nbytes == size
        else:
            with pytest.raises(npt.LimitExceeded):
                consumer.recv()
    assert consumer.statistics().disconnects == 0
