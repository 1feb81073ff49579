"""Publishers that send junk between good messages, and strangers at the port: refused and counted, the good arrive."""

from __future__ import annotations

import contextlib

import msgpack
import numpy as np
import pytest
import zmq
from faces import PATIENCE, address_fixture, face_fixture, knows, sockets_of_zmq_fixture, wait_until  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from test_junk_peers import JUNK as EVERY_JUNK
from test_junk_peers import METADATA, PART, RANDOM, STRANGERS, good, near_misses, visit

import nptransport as npt
from nptransport.protocol.tags import Kind, Mode, Word, read_tag, tag

# What begins with FF is between others.
JUNK = EVERY_JUNK | {"topic that is no text": [b"\xfe\xff", METADATA, PART]}

OTHER = b"\x77" * 8  # the number of some other subscriber


def word(*values, **entries):
    return msgpack.packb({"npt": 1, "word": list(values), **entries})


WORDS = {
    "nothing": b"",
    "random bytes": RANDOM(50),
    "no map": msgpack.packb([1, 2]),
    "no word": msgpack.packb({"npt": 1}),
    "of another version": msgpack.packb({"npt": 2, "word": ["s", 0.5, []]}),
    "cut off": word("s", 0.5, [])[:-1],
    "more behind": word("s", 0.5, []) + b"\0",
    "too short": word("s", 0.5),
    "no name": word("", 0.5, []),
    "name that is none": word(3, 0.5, []),
    "name too long": word("s" * 65, 0.5, []),
    "interval below 0": word("s", -1.0, []),
    "interval without end": word("s", float("inf"), []),
    "interval that is none": word("s", float("nan"), []),
    "interval in words": word("s", "soon", []),
    "positions that are none": word("s", 0.5, 7),
    "position too short": word("s", 0.5, [["source", "topic"]]),
    "position below 0": word("s", 0.5, [["source", "topic", -1]]),
    "position in fractions": word("s", 0.5, [["source", "topic", 1.5]]),
    "position true": word("s", 0.5, [["source", "topic", True]]),
    "topic of bytes": word("s", 0.5, [["source", b"topic", 1]]),
    "a million positions": word("s", 0.5, [["source", "topic", 1]] * 20_000),
}


@pytest.fixture(name="publish")
def publish_fixture(sockets_of_zmq):
    """``publish(subscriber)``: a socket that sends it whatever it likes, and the number that it announced."""

    def connect(subscriber):
        socket = sockets_of_zmq(zmq.XPUB, subscriber.address)
        numbers = []

        def is_known():
            with contextlib.suppress(npt.Timeout):
                subscriber.recv(timeout=0)
            with contextlib.suppress(zmq.Again):
                while True:
                    hello = read_tag(socket.recv(zmq.NOBLOCK)[1:])
                    numbers.extend([hello.number] if hello is not None and hello.kind is Kind.COPY else [])
            return numbers

        return socket, wait_until(is_known)[0]

    return connect


def takes(subscriber):
    """What comes next: an index, or None for what was refused."""
    try:
        return int(subscriber.recv())
    except npt.DecodeError:
        return None


@pytest.mark.parametrize("latest", [False, True])
def test_junk_between_good_messages(face, address, publish, latest):
    subscriber = face.subscriber(bind=address, latest=latest)
    socket, _ = publish(subscriber)
    for index, junk in enumerate(JUNK.values()):
        socket.send_multipart(junk)
        socket.send_multipart([b"camera", *good(index)])
        assert takes(subscriber) is None
        assert takes(subscriber) == index
    statistics = subscriber.statistics()
    assert (statistics.malformed, statistics.received) == (len(JUNK), len(JUNK))


@pytest.mark.parametrize("latest", [False, True])
def test_malformed_words(face, address, publish, latest):
    subscriber = face.subscriber(bind=address, latest=latest)
    socket, number = publish(subscriber)
    head = tag(Kind.SELF, number, bytes([Mode.LATEST if latest else Mode.QUEUE]))
    for index, document in enumerate(WORDS.values()):
        socket.send_multipart([head, document])
        socket.send_multipart([b"camera", *good(index)])
        assert takes(subscriber) is None
        assert takes(subscriber) == index
    socket.send_multipart([head])
    socket.send_multipart([head, word("s", 0.0, []), b"more", b"parts"])
    socket.send_multipart([b"camera", *good(42)])
    assert takes(subscriber) is None
    assert takes(subscriber) == 42
    assert subscriber.statistics().malformed == len(WORDS) + 1


def test_iteration_passes_over_malformed_words(face, address, publish, caplog):
    subscriber = face.subscriber(bind=address)
    socket, number = publish(subscriber)
    socket.send_multipart([tag(Kind.SELF, number, bytes([Mode.QUEUE])), b"junk"])
    socket.send_multipart([b"camera", *good(1)])
    assert next(subscriber) == 1
    assert "skipped" in caplog.text


def test_what_is_meant_for_others(face, address, publish):
    """Tags of other subscribers, or of later versions: no message for us, and no error."""
    subscriber = face.subscriber(bind=address)
    socket, number = publish(subscriber)
    tags = [
        tag(Kind.SELF, OTHER, b"q"),
        tag(Kind.COPY, OTHER, b"camera"),
        b"\xff",
        b"\xff\x99" + number,
        b"\xff=" + number[:5],
    ]
    for index, head in enumerate(tags):
        socket.send_multipart([head, *good(-1)])
        socket.send_multipart([b"camera", *good(index)])
        assert takes(subscriber) == index
    socket.send_multipart([tag(Kind.COPY, number, b"\xfe not utf-8"), *good(-1)])
    assert takes(subscriber) is None
    assert (subscriber.statistics().malformed, subscriber.statistics().received) == (1, len(tags))


def test_copies(face, address, publish):
    """Of our own: in one part, in several, and malformed ones."""
    subscriber = face.subscriber(bind=address)
    socket, number = publish(subscriber)
    mine, (metadata, buffer) = tag(Kind.COPY, number), good(7)
    length = len(metadata).to_bytes(2, "big")
    for opening in (metadata, length + metadata + buffer):
        for topic in (b"", "kamera/größe".encode()):
            socket.send_multipart([mine + topic + b"\xff" + opening, *[buffer] * (opening is metadata)])
            assert subscriber.recv_message().topic == topic.decode()
    whole = mine + b"\xff" + length + metadata + buffer
    malformed = [
        [mine],
        [mine + b"camera", metadata, buffer],
        [mine + b"\xff"],
        [mine + b"\xff\x00"],
        [mine + b"\xff\x00\x00"],
        [mine + b"\xff\x7f\xff" + metadata + buffer],
        [mine + b"\xff" + length + metadata[:-1]],
        [mine + b"\xff" + length + metadata],
        [mine + b"\xff" + metadata],
        [mine + b"\xff" + metadata, buffer, buffer],
        [whole[:-1]],
        [whole + b"\0"],
        [whole, buffer],
        [whole, b""],
    ]
    for parts in malformed:
        socket.send_multipart(parts)
        assert takes(subscriber) is None
    socket.send_multipart([whole])
    assert takes(subscriber) == 7
    assert subscriber.statistics().malformed == len(malformed)


def test_positions_of_streams_that_are_none(face, address, publish):
    """What one publisher says of streams of its own making touches nobody else's account."""
    subscriber = face.subscriber(bind=address)
    socket, number = publish(subscriber)
    publisher = face.publisher(connect=subscriber.address)
    wait_until(lambda: _nothing(subscriber) and knows(publisher, ""))
    head = tag(Kind.SELF, number, bytes([Mode.QUEUE]))
    positions = [["forged", "a", 2**64 - 1], ["forged", "a", 5], ["forged", "", 0], ["other", "a", 2**63]]
    socket.send_multipart([head, Word("s", 0.5, positions).pack()])
    for index in range(5):
        publisher.send(np.array(index), topic="a")
        assert takes(subscriber) == index
    source = publisher._program.source
    assert (subscriber.statistics().streams[source, "a"].missed, subscriber.statistics().missed) == (0, 0)


def _nothing(subscriber):
    with contextlib.suppress(npt.Timeout):
        subscriber.recv(timeout=0)
    return True


def test_a_source_that_is_another_with_each_message(face, address, publish):
    """It fills no memory, and the totals hold."""
    subscriber = face.subscriber(bind=address, max_messages=10_000)
    socket, number = publish(subscriber)
    head = tag(Kind.SELF, number, bytes([Mode.QUEUE]))
    for start in range(0, 10_000, 500):
        socket.send_multipart([head, Word("s", 0.0, [[f"source {start + i}", "a", i] for i in range(500)]).pack()])
    socket.send_multipart([b"camera", *good(1)])
    assert takes(subscriber) == 1
    assert len(subscriber.statistics().streams) <= 4096
    assert subscriber.statistics().received == 1


def test_any_junk(publish):
    """Invariant: a message is a payload, a DecodeError, or none for us, and the one behind it arrives whole."""
    with npt.Subscriber(bind="inproc://any published junk") as subscriber:
        socket, number = publish(subscriber)
        head = tag(Kind.SELF, number, bytes([Mode.QUEUE]))
        heads = st.sampled_from([head, tag(Kind.COPY, number), tag(Kind.SELF, OTHER, b"q"), b"\xff", b"topic"])
        tagged = st.builds(
            lambda start, rest, parts: [start + rest, *parts],
            heads,
            st.binary(max_size=5),
            st.lists(st.binary(max_size=50)),
        )
        words = st.builds(
            lambda document: [head, document], st.binary(max_size=40) | st.sampled_from(list(WORDS.values()))
        )

        @settings(max_examples=400)
        @given(st.one_of(st.lists(st.binary(max_size=100), min_size=1, max_size=5), near_misses(), tagged, words))
        def check(parts):
            socket.send_multipart(parts)
            socket.send_multipart([b"last", *good(42)])
            for _ in range(2):
                with contextlib.suppress(npt.DecodeError):
                    message = subscriber.recv_message(timeout=PATIENCE)
                    if message.topic == "last" and message.payload == 42:
                        return
            raise AssertionError("the good one did not arrive")

        check()


# Strangers at the port


@pytest.mark.parametrize("words", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "stays"])
def test_strangers_at_the_port_of_a_publisher(face, words, leaves):
    publisher, subscriber = face.broadcast("tcp://127.0.0.1:0")
    publisher.send(np.array(0))
    assert subscriber.recv() == 0
    with visit(publisher.address, words) as stranger:
        if leaves:
            stranger.close()
        late, sent = face.subscriber(connect=publisher.address), [0]

        def late_hears():
            """It may have to come twice, if its first words stood behind what no subscriber says."""
            sent.append(len(sent))
            publisher.send(np.array(sent[-1]))
            assert subscriber.recv() == sent[-1]
            with contextlib.suppress(npt.Timeout):
                return late.recv(timeout=0.01) is not None

        wait_until(late_hears)
        publisher.send(np.array(-1))
        assert subscriber.recv() == -1
    assert (subscriber.statistics().missed, subscriber.statistics().disconnects) == (0, 0)


@pytest.mark.parametrize("words", STRANGERS.values(), ids=STRANGERS)
def test_strangers_at_the_port_of_a_subscriber(face, words):
    subscriber = face.subscriber(bind="tcp://127.0.0.1:0")
    publisher = face.publisher(connect=subscriber.address)
    wait_until(lambda: _nothing(subscriber) and knows(publisher, ""))
    with visit(subscriber.address, words):
        for index in range(20):
            publisher.send(np.array(index))
            assert next(subscriber) == index
