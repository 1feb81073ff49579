"""Past ZeroMQ: messages in shared memory go to the only consumer on a lane, in order with what the socket carries."""

from __future__ import annotations

import random
import socket
import threading
import time

import numpy as np
import pytest
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import face_fixture, needs_shm, shm_address_fixture  # noqa: F401
from meeting import SIZE, lane_of, large, meet, number_of
from same import same

import nptransport as npt
from nptransport.transport import lanes
from nptransport.transport.steps import Need

pytestmark = needs_shm


class Count:
    """Of the messages of a producer that its socket has carried from now on."""

    def __init__(self, producer):
        self.messages = 0
        channel = producer._channel
        self._try_send, channel.try_send = channel.try_send, self

    def __call__(self, parts, *rest):
        sent = self._try_send(parts, *rest)
        self.messages += sent
        return sent


class Told:
    """What a producer has said on its lane from now on."""

    def __init__(self, producer):
        self.records = self.alike = 0
        lane = lane_of(producer)
        self._put, lane._put = lane._put, self

    def __call__(self, slot, record):
        self.records += 1
        self.alike += len(record) == lanes.AGAIN.size
        return self._put(slot, record)


def test_the_socket_carries_nothing_once_they_have_met(face, address):
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    by_socket = Count(producer)
    for number in range(50):
        producer.send(large(number))
        assert number_of(consumer.recv()) == number
    producer.send({"number": large(7), "text": "nested"})
    assert number_of(consumer.recv()) == 7
    assert by_socket.messages == 0
    assert consumer.statistics().missed == consumer.statistics().malformed == 0


def test_a_loan_takes_it_too(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        meet(producer, consumer)
        by_socket = Count(producer)
        for number in range(20):
            with producer.loan(SIZE, np.uint8) as array:
                array[:8].view(np.int64)[0] = number
            assert number_of(consumer.recv(timeout=PATIENCE)) == number
        assert by_socket.messages == 0


@pytest.mark.parametrize("lends", [False, True])
def test_a_sender_waits_for_a_reader_that_is_at_it(address, lends, monkeypatch):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        meet(producer, consumer)
        by_socket, got = Count(producer), []

        def read_some(need, deadline):
            assert need is Need.FETCHED
            got.extend(number_of(consumer.recv(timeout=0)) for _ in range(10))

        with monkeypatch.context() as patched:
            patched.setattr(producer._channel, "_wait", read_some)
            for number in range(5 * lanes.AHEAD):
                if not lends:
                    producer.send(large(number))
                    continue
                with producer.loan(SIZE, np.uint8) as array:
                    array[:8].view(np.int64)[0] = number
        assert by_socket.messages == 0
        assert got == list(range(len(got)))
        assert len(got) >= 4 * lanes.AHEAD


def test_all_arrive_in_order_whichever_way_they_come(face, address):
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    draw = random.Random(5)
    kinds = [
        large,
        lambda number: large(number)[:100],  # in the message
        lambda number: {"number": large(number)[:3000], "other": large(number)},  # one part there, one in the message
    ]
    sent = got = 0
    ways = Count(producer)
    while sent < 1000:
        kind = draw.choice(kinds)
        for _ in range(draw.choice([1, 3, 40])):
            producer.send(kind(sent))
            sent += 1
        for _ in range(draw.randrange(sent - got + 1)):
            assert number_of(consumer.recv()) == got
            got += 1
    while got < sent:
        assert number_of(consumer.recv()) == got
        got += 1
    assert 0 < ways.messages < sent
    assert consumer.statistics().missed == 0


def test_a_reader_that_lags_finds_them_in_order(face, address):
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    by_socket = Count(producer)
    for number in range(3 * lanes.AHEAD):
        producer.send(large(number))
    assert 0 < by_socket.messages < 3 * lanes.AHEAD
    assert [number_of(consumer.recv()) for _ in range(3 * lanes.AHEAD)] == list(range(3 * lanes.AHEAD))


def test_a_second_consumer_gets_its_part(face, address):
    producer = face.producer(bind=address)
    consumers = [face.consumer(connect=address)]
    meet(producer, consumers[0])
    consumers.append(face.consumer(connect=address))
    wait_until(lambda: producer.statistics().connections == 2)
    for number in range(40):  # libzmq may take a few sends to see the second one
        producer.send(large(number))
    got = [[], []]
    while sum(map(len, got)) < 40:
        for consumer, numbers in zip(consumers, got, strict=True):
            try:
                numbers.append(number_of(consumer.recv(timeout=0.01)))
            except npt.Timeout:
                continue
    assert sorted(got[0] + got[1]) == list(range(40))
    assert got[0] == sorted(got[0])
    assert len(got[1]) > 5


def test_the_next_consumer_is_met_anew(face, address):
    producer = face.producer(bind=address)
    for _ in range(2):
        consumer = face.consumer(connect=address)
        meet(producer, consumer)
        consumer.close()
        wait_until(lambda: lane_of(producer) is None and producer.statistics().connections == 0)


def test_the_next_producer_is_met_anew(face, address):
    consumer = face.consumer(bind=address)
    for _ in range(2):
        producer = face.producer(connect=address)
        meet(producer, consumer)
        producer.send(large(1))
        assert number_of(consumer.recv()) == 1
        producer.close()


def test_several_producers_have_their_turns(face, address):
    consumer = face.consumer(bind=address)
    producers = [face.producer(connect=address) for _ in range(2)]
    for producer in producers:
        meet(producer, consumer)
    small = face.producer(connect=address)
    small.send(np.array([0]))
    got = []
    while 0 not in got:  # though the lanes are never empty
        for number, producer in enumerate(producers, 1):
            producer.send(large(number))
            producer.send(large(number))
        got += [int(consumer.recv()[:8].view(np.int64)[0]) for _ in producers]
        assert len(got) < 10 * lanes.AHEAD
    assert set(got) == {0, 1, 2}


def test_what_the_socket_lost_holds_up_nobody(face, address, monkeypatch):
    monkeypatch.setattr(lanes, "_PATIENCE", 0.1)
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    producer._endpoint._carried += 1000  # as if so much had been sent, and been lost with its connection
    producer.send(large(1))
    assert number_of(consumer.recv()) == 1


def test_a_waiting_reader_is_woken(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        meet(producer, consumer)
        got = []
        reader = threading.Thread(
            target=lambda: [got.append(number_of(consumer.recv(timeout=PATIENCE))) for _ in range(200)]
        )
        reader.start()
        for number in range(200):
            producer.send(large(number))
            wait_until(lambda number=number: len(got) > number)  # soon it waits again
        reader.join(PATIENCE)
        assert got == list(range(200))


def test_what_is_encrypted_never_goes_past_it(address, tmp_path):
    (server, secret), (friend, own) = (npt.Curve.generate(tmp_path / name) for name in ("server", "friend"))
    allowed = npt.Curve.server(secret=secret, allowed=[friend])
    key = npt.Curve.client(server=server, secret=own)
    with (
        npt.Consumer(bind=address, security=allowed) as consumer,
        npt.Producer(connect=address, security=key) as producer,
    ):
        for number in range(20):
            producer.send(large(number))
            assert number_of(consumer.recv(timeout=PATIENCE)) == number
        assert lane_of(producer) is None


def test_what_is_told_of_as_alike_is_what_was_sent(face, address):
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    by_socket, told, draw = Count(producer), Told(producer), random.Random(7)
    kinds = [
        large,
        lambda number: large(number).reshape(100, -1),
        lambda number: large(number).view(np.uint16),
        lambda number: large(number).reshape(100, -1).T,  # not in C order
        lambda number: {"number": large(number)},
    ]
    before = producer.statistics()
    for number in range(500):
        kind = draw.choice(kinds[: draw.choice([1, 2, 5])])
        payload = kind(number)
        begun = time.time()
        producer.send(payload)
        copy, into = draw.random() < 0.2, draw.random() < 0.2 and isinstance(payload, np.ndarray)
        message = consumer.recv_message(copy=copy, out=np.empty_like(payload) if into else None)
        assert same(payload, message.payload)
        assert begun <= message.sent_at <= time.time()
        assert message.sequence == before.messages + number
    assert by_socket.messages == 0
    assert 0 < told.alike < told.records == 500
    assert consumer.statistics().missed == consumer.statistics().malformed == 0
    assert consumer.statistics().nbytes == producer.statistics().nbytes


def test_what_a_reader_refuses_it_refuses_again(face, address):
    producer = face.producer(bind=address)
    consumer = face.consumer(connect=address, limits=npt.Limits(max_total_bytes=2 * SIZE))
    meet(producer, consumer)
    told = Told(producer)
    held = producer.statistics().bytes_in_flight
    for _ in range(20):
        producer.send(np.zeros(4 * SIZE, np.uint8))
        with pytest.raises(npt.DecodeError, match="max_total_bytes"):
            consumer.recv()
    assert told.alike > 10
    producer.send(large(3))
    assert number_of(consumer.recv()) == 3
    assert consumer.statistics().malformed == 20
    assert producer.statistics().bytes_in_flight <= held + SIZE


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("number", "sent_at"), [(2**64 - 1, 1.0), (0, float("nan")), (0, float("inf"))])
def test_one_that_is_like_none_is_an_error(face, address, whole, number, sent_at):
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    lane = lane_of(producer)
    if whole:
        producer.send(large(1))
        assert number_of(consumer.recv()) == 1
    else:
        lane.end.send(bytes(lanes.HEAD.size) + b"\x80")
        with pytest.raises(npt.DecodeError):
            consumer.recv()
    lane.end.send(lanes.AGAIN.pack(0, 2**40, 0, 0, 0, number, sent_at))
    with pytest.raises(npt.DecodeError):
        consumer.recv()
    for number in range(20):
        producer.send(large(number).view(np.uint16))
        assert number_of(consumer.recv().view(np.uint8)) == number


@pytest.mark.parametrize("junk", [b"x" * 7, bytes(8), b"\xff" * 200, bytes(8) + b"\x83\xa3npt\x01"])
def test_junk_on_a_lane_is_an_error_and_no_more(face, address, junk):
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    lane_of(producer).end.send(junk)
    with pytest.raises(npt.DecodeError):
        consumer.recv()
    for number in range(20):
        producer.send(large(number))
        assert number_of(consumer.recv()) == number


def test_a_program_ends_with_an_array_in_hand_though_a_thread_has_died_in_the_middle(spawn, address):
    child = spawn(
        """
        consumer, producer = npt.Consumer(bind=args[0]), npt.Producer(connect=args[0])
        producer.send(np.zeros(100_000, np.uint8))
        array = consumer.recv()
        (lender,) = consumer._borrower._lenders.values()
        consumer.close()
        names = {"lock": lender._lock, "held": threading.Event(), "wait": threading.Event().wait}
        exec("def speak():\\n  with lock:\\n    held.set()\\n    wait()", names)  # keeps no name of ours, as array
        threading.Thread(target=names.pop("speak"), daemon=True).start()
        names["held"].wait()
        say("ends")
        """,
        address,
    )
    assert child.hear() == "ends"
    assert child.wait() == 0


def test_a_lane_that_comes_to_a_closed_endpoint_is_closed():
    ours, theirs = socket.socketpair()
    held = lanes.Lanes(lambda descriptor: None)
    held.close()
    held.add(theirs, None)
    assert not held.open
    with ours:
        assert not ours.recv(1)
