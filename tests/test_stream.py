"""Arrays from producers to consumers, on both faces and over every transport: what arrives, from whom, and how many."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
import zmq
from faces import address_fixture, face_fixture, indices, new_address_fixture, sockets_of_zmq_fixture, wait_until  # noqa: F401
from same import difference

import nptransport as npt

STRINGS = [np.array(["a", "", "größe"], np.dtypes.StringDType())] if hasattr(np.dtypes, "StringDType") else []
RECORD = np.dtype([("a", "i1"), ("b", [("c", "f8"), ("d", "S3")])], align=True)
PAYLOADS = [
    {"frames": [np.arange(12.0).reshape(3, 4), (np.int8(-3), None, "left")], "at": 1.5, "raw": b"\0\xff", "tuple": ()},
    {"small": np.arange(3.0), "large": np.arange(200_000.0), "odd": np.arange(7, dtype="u1"), "then": np.arange(5.0)},
    [np.zeros((300, 300), order="F"), np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(9)[::-2]],
    [np.zeros((0, 3)), np.array(7), np.array(1 + 2j), np.array("2024-02-29", "M8[D]"), np.arange(4, dtype=">i2")],
    np.ma.MaskedArray(np.arange(5000.0), np.arange(5000) % 3 == 0, fill_value=-1),
    np.array([(1, (2.5, b"x")), (2, (3.5, b"y"))], RECORD),
    {"text": "größe " * 20_000, "bytes": bytes(100_000), "nothing": None},
    list(range(10**6, 10**6 + 8000)),
    *STRINGS,
]


def drain(consumer):
    """What has arrived by now."""
    got = []
    try:
        while True:
            got.append(int(consumer.recv(timeout=0)))
    except npt.Timeout:
        return got


def arrays_in(payload):
    if isinstance(payload, np.ndarray):
        yield payload
    elif isinstance(payload, (dict, list, tuple)):
        for item in payload.values() if isinstance(payload, dict) else payload:
            yield from arrays_in(item)


# Who connects to whom


def test_one_consumer_at_many_addresses(face, new_address):
    remote = face.producer(bind=new_address())
    consumer = face.consumer(bind=[new_address(), new_address()], connect=remote.address)
    assert len(set(consumer.addresses)) == 3
    assert consumer.address == consumer.addresses[0]
    producers = [face.producer(connect=address) for address in consumer.addresses[:2]]
    for index, producer in enumerate([remote, *producers]):
        producer.send(np.array(index))
    assert sorted(indices(consumer, 3)) == [0, 1, 2]


def test_several_producers_to_one_consumer(face, address):
    consumer = face.consumer(bind=address)
    producers = [face.producer(connect=consumer.address) for _ in range(3)]
    for index in range(10):
        for producer in producers:
            producer.send(np.array(index))
    rows = {}
    for _ in range(30):
        message = consumer.recv_message()
        rows.setdefault(message.source, []).append((message.sequence, int(message.payload)))
    assert list(rows.values()) == [[(index, index) for index in range(10)]] * 3
    assert (consumer.statistics().messages, consumer.statistics().missed) == (30, 0)


def test_one_producer_to_several_consumers_in_turn(face, address):
    producer = face.producer(bind=address)
    consumers = [face.consumer(connect=producer.address) for _ in range(2)]
    shares = [[], []]

    def take():
        for share, consumer in zip(shares, consumers, strict=True):
            share += drain(consumer)
        return sum(map(len, shares)) == producer.statistics().messages

    while not all(shares):  # only who has got something is surely connected
        producer.send(np.array(-1))
        wait_until(take)
    for index in range(20):
        producer.send(np.array(index))
    wait_until(take)
    assert sorted(shares[0][-10:] + shares[1][-10:]) == list(range(20))
    got = [consumer.statistics() for consumer in consumers]
    assert sum(statistics.nbytes for statistics in got) == producer.statistics().nbytes
    for share, statistics in zip(shares, got, strict=True):
        assert statistics.messages == len(share)
        assert statistics.missed >= 9  # what went to the other between its own first and last


def test_a_consumer_that_joins_late_has_missed_nothing(face, address):
    producer = face.producer(bind=address)
    first = face.consumer(connect=producer.address)
    for index in range(5):
        producer.send(np.array(index))
    assert indices(first, 5) == [0, 1, 2, 3, 4]
    second = face.consumer(connect=producer.address)
    joined = False
    while not joined:
        producer.send(np.array(-1))
        with contextlib.suppress(npt.Timeout):
            joined = second.recv_message(timeout=0).sequence >= 5
    assert second.statistics().missed == 0


# Timeouts


@pytest.mark.parametrize("seconds", [0, 0.05, 0.25])
def test_recv_times_out(face, address, seconds):
    _, consumer = face.pair(address)
    with pytest.raises(npt.Timeout, match=f"waited {seconds:g} s for a message") as caught:
        consumer.recv(timeout=seconds)
    assert (caught.value.seconds, isinstance(caught.value, TimeoutError)) == (seconds, True)


def test_a_timeout_that_is_no_number_has_passed(face, address):
    producer, consumer = face.producer(bind=address), face.consumer(connect="tcp://127.0.0.1:9")
    for use in (lambda: producer.send(np.zeros(4), timeout=float("nan")), lambda: consumer.recv(timeout=float("nan"))):
        with pytest.raises(npt.Timeout):
            use()


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_send_times_out_while_nobody_is_there(face, address, seconds):
    producer = face.producer(bind=address)
    for payload in (np.zeros(4), np.zeros(10**6)):
        with pytest.raises(npt.Timeout, match="room at the other side") as caught:
            producer.send(payload, timeout=seconds)
        assert caught.value.seconds == seconds
    assert producer.statistics().messages == 0
    consumer = face.consumer(connect=producer.address)
    producer.send(np.array(7), timeout=None)
    assert consumer.recv_message(timeout=None).sequence == 0  # what timed out has not taken a number


# What comes with a payload


def test_the_fields_of_a_message(face, address):
    producer, consumer = face.pair(address)
    payload = {"frame": np.arange(1000.0), "label": "left"}
    before = time.time()
    for _ in range(3):
        producer.send(payload)
    messages = [consumer.recv_message() for _ in range(3)]
    assert [message.sequence for message in messages] == [0, 1, 2]
    assert len({message.source for message in messages}) == 1
    sent_at = [message.sent_at for message in messages]
    assert before <= sent_at[0] <= sent_at[1] <= sent_at[2] <= time.time()
    assert [message.topic for message in messages] == [None, None, None]
    assert sum(message.nbytes for message in messages) == producer.statistics().nbytes
    assert messages[0].payload["label"] == "left"


@pytest.mark.parametrize("topic", ["camera/left", "", "größe"])
def test_the_fields_of_a_message_from_send_array(face, address, sockets_of_zmq, topic):
    consumer = face.consumer(bind=address)
    npt.send_array(sockets_of_zmq(zmq.PUSH, consumer.address), np.arange(3), topic=topic)
    message = consumer.recv_message()
    assert (message.topic, message.sequence, message.sent_at, message.source) == (topic, None, None, None)
    parts = [topic.encode(), *npt.encode(np.arange(3))]
    assert message.nbytes == consumer.statistics().nbytes == sum(map(len, parts))


@pytest.mark.parametrize("shape", [(), (0,), (10,), (300, 300), (1000, 1000)])
def test_both_ends_count_the_same(face, address, shape):
    producer, consumer = face.pair(address)
    for _ in range(7):
        producer.send(np.ones(shape))
        assert consumer.recv().shape == shape
    producer.flush()
    sent, got = producer.statistics(), consumer.statistics()
    assert (sent.messages, sent.bytes_in_flight) == (7, 0)
    assert (got.messages, got.missed, got.malformed) == (7, 0, 0)
    assert sent.nbytes == got.nbytes > 7 * np.ones(shape).nbytes


# The end


def test_iteration_ends_when_the_consumer_is_closed(face, address):
    producer, consumer = face.pair(address)
    for index in range(5):
        producer.send(np.array(index))
    seen = []
    for array in consumer:
        seen.append(int(array))
        if len(seen) == 5:
            consumer.close()
    assert seen == [0, 1, 2, 3, 4]


def test_leaving_the_context_closes(face, address):
    with face.consumer(bind=address) as consumer, face.producer(connect=consumer.address) as producer:
        producer.send(np.arange(3))
        assert consumer.recv().tolist() == [0, 1, 2]
        assert not producer.closed
    for endpoint in (producer, consumer):
        assert endpoint.closed
        assert not endpoint.close()  # once more does nothing


def test_use_after_close(face, address):
    producer, consumer = face.pair(address)
    producer.send(np.arange(3))
    producer.send(np.arange(3))
    assert consumer.recv().size == 3
    producer.close()
    consumer.close()
    sends = [lambda: producer.send(np.arange(3)), lambda: producer.send(np.zeros(10**6)), producer.flush]
    for use in (*sends, consumer.recv, lambda: consumer.recv(timeout=0)):
        with pytest.raises(npt.ConnectionClosed, match="closed") as caught:
            use()
        assert caught.value.endpoint == producer.address
    assert list(consumer) == []
    assert (producer.statistics().messages, consumer.statistics().messages) == (2, 1)  # the account stays open


# Payloads


@pytest.mark.parametrize("copy", [False, True])
def test_what_is_sent_is_what_arrives(face, address, copy):
    producer, consumer = face.pair(address)
    for payload in PAYLOADS:
        producer.send(payload)
        arrived = consumer.recv(copy=copy)
        assert difference(payload, arrived) is None
        for array in arrays_in(arrived):
            assert array.flags.aligned
            assert array.flags.writeable is copy


def test_received_arrays_stay(face, address):
    producer, consumer = face.pair(address)
    kept = []
    for index in range(60):
        producer.send([np.full(100, index), np.full(20_000, index)])
        kept.append(consumer.recv())
    producer.close()
    consumer.close()
    assert all((array == index).all() for index, payload in enumerate(kept) for array in payload)


@pytest.mark.parametrize("size", [10, 100_000])
def test_what_the_receiver_writes_stays_its_own(face, address, size):
    """Over inproc:// ZeroMQ itself hands over the memory of the sender."""
    producer, consumer = face.pair(address)
    sent = np.arange(size)
    producer.send([sent, sent], copy=False)
    for array in consumer.recv(copy=True):
        array[:] = -1
    assert np.array_equal(sent, np.arange(size))


@pytest.mark.parametrize("size", [10, 100_000])
def test_receiving_into_an_array(face, address, size):
    producer, consumer = face.pair(address)
    out = np.zeros((size, 2))[:, 1]
    producer.send(np.arange(float(size)))
    assert consumer.recv(out=out) is out
    assert np.array_equal(out, np.arange(size))


@pytest.mark.parametrize(
    ("payload", "out"),
    [
        (np.arange(6.0), np.zeros((2, 3))),
        (np.arange(6.0), np.zeros(6, "f4")),
        (np.arange(6.0), np.zeros(6, ">f8")),
        (np.arange(6.0), np.broadcast_to(np.zeros(1), 6)),
        ([np.arange(6.0)], np.zeros(6)),
        (np.ma.MaskedArray(np.arange(6.0), np.arange(6) > 2), np.zeros(6)),
    ],
    ids=["shape", "dtype", "byte order", "read-only", "nest", "mask"],
)
def test_what_does_not_fit_is_kept(face, address, payload, out):
    producer, consumer = face.pair(address)
    producer.send(payload)
    producer.send(np.array(2))
    for _ in range(2):
        with pytest.raises(npt.DecodeError, match="as out asks for"):
            consumer.recv(out=out)
    assert not out.any()
    message = consumer.recv_message(copy=True)
    assert (difference(payload, message.payload), message.sequence) == (None, 0)
    assert all(array.flags.writeable for array in arrays_in(message.payload))
    assert indices(consumer, 1) == [2]
    assert (consumer.statistics().messages, consumer.statistics().malformed) == (2, 0)


def test_an_out_that_is_no_array_loses_nothing(face, address):
    producer, consumer = face.pair(address)
    producer.send(np.array(1))
    with pytest.raises(TypeError, match="expected a NumPy array, found str"):
        consumer.recv(out="no array")
    assert consumer.recv() == 1
