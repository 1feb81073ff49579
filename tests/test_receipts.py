"""Receipts: what a reader takes off its lane is its own until its receipt says otherwise, or it has gone."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading

import pytest
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import face_fixture, needs_shm, shm_address_fixture  # noqa: F401
from meeting import SIZE, lane_of, large, meet, number_of

import nptransport as npt
from nptransport.memory.memfd import allocate
from nptransport.memory.receipts import ASLEEP, PLACES, TAKEN, WORDS, make_receipts, map_receipts
from nptransport.shm import sidechannel
from nptransport.shm.creditor import Creditor
from nptransport.transport import channel
from nptransport.transport.lanes import AHEAD

pytestmark = needs_shm


# Finds its lane, and says that it listens.
CONSUMER = """
            consumer = npt.Consumer(connect=args[0])
            consumer.recv()
            while not consumer._channel.has_lanes:
                time.sleep(0.001)
            try:
                consumer.recv(timeout=0)
            except npt.Timeout:
                say("listens")
            hear()
"""


def send_on_lane(producer, child, count):
    """So many messages, once the child listens."""
    wait_until(lambda: producer.statistics().connections == 1)
    producer.send(large(1))
    assert child.hear() == "listens"
    wait_until(lambda: lane_of(producer))
    for number in range(count):
        producer.send(large(number))
    child.say()


def all_is_back(producer):
    return producer.statistics().bytes_in_flight == 0


def test_whatever_is_held_and_let_go_of_stays_as_it_is(face, address):
    producer, consumer = face.producer(bind=address, max_bytes=30 * SIZE), face.consumer(connect=address)
    meet(producer, consumer)
    draw, held, sent = random.Random(9), {}, 10
    for _ in range(600):
        if len(held) < 12:
            count = draw.choice([1, 2, 5])
            for number in range(sent, sent + count):
                producer.send(large(number), timeout=PATIENCE)
            for number in range(sent, sent + count):
                held[number] = consumer.recv(timeout=PATIENCE)
            sent += count
        else:
            for number in draw.sample(sorted(held), draw.choice([1, 3, 11])):
                del held[number]
        assert all(number_of(array) == number for number, array in held.items())
    held.clear()
    wait_until(lambda: all_is_back(producer))
    assert consumer.statistics().missed == consumer.statistics().malformed == 0


def test_what_a_reader_holds_stays_though_another_comes(face, address):
    producer = face.producer(bind=address, max_bytes=20 * SIZE)
    first = face.consumer(connect=address)
    meet(producer, first)
    for number in range(6):
        producer.send(large(number))
    held = [first.recv(timeout=PATIENCE) for _ in range(3)]
    second = face.consumer(connect=address)
    wait_until(lambda: producer.statistics().connections == 2)
    got = [number_of(first.recv(timeout=PATIENCE)) for _ in range(3)]
    for _ in range(60):
        producer.send(large(100), timeout=PATIENCE)
        producer.send(large(100), timeout=PATIENCE)
        for consumer in (first, second):
            assert number_of(consumer.recv(timeout=PATIENCE)) == 100
    assert [number_of(each) for each in held] == [0, 1, 2]
    assert got == [3, 4, 5]
    held.clear()
    wait_until(lambda: all_is_back(producer))


def test_who_comes_and_claims_everything_frees_nothing(face, address):
    producer, consumer = face.producer(bind=address, max_bytes=20 * SIZE), face.consumer(connect=address)
    meet(producer, consumer)
    for number in range(4):
        producer.send(large(number))
    held = [consumer.recv(timeout=PATIENCE) for _ in range(2)]
    with contextlib.closing(sidechannel.connect(producer._lender.path, PATIENCE)) as cheat:
        cheat.setblocking(True)
        newest = producer._lender._claims.newest
        words = [*range(1, newest + 9), *(each | sidechannel.RELEASE for each in range(1, newest + 9))]
        cheat.sendall(sidechannel.HELLO + bytes(8) + b"".join(word.to_bytes(8, "little") for word in words))
        descriptors: list[int] = []
        what = 0
        while what != sidechannel.LANE:  # after the segments and the receipts
            record, given, _, _ = socket.recv_fds(cheat, sidechannel.RECORD.size, 1)
            descriptors += given
            what, _ = sidechannel.RECORD.unpack(record)
            if what == sidechannel.RECEIPTS:
                theirs = map_receipts(given[0])
        for place in range(TAKEN, WORDS):
            theirs[place] = newest
        for _ in range(50):
            producer.send(large(7), timeout=PATIENCE)
            consumer.recv(timeout=PATIENCE)
        assert [number_of(each) for each in held] == [0, 1]
        for descriptor in descriptors:
            os.close(descriptor)


def test_memory_comes_back_that_a_closed_consumer_held(face, address):
    producer = face.producer(bind=address, max_bytes=8 * SIZE)
    consumer = face.consumer(connect=address)
    meet(producer, consumer)
    for number in range(4):
        producer.send(large(number))
    held = [consumer.recv(timeout=PATIENCE) for _ in range(3)]
    lost = producer._lender.lost
    consumer.close()
    wait_until(lambda: producer._lender.lost == lost + 1)
    assert [number_of(each) for each in held] == [0, 1, 2]
    assert producer.statistics().bytes_in_flight == 3 * SIZE
    held.clear()
    wait_until(lambda: all_is_back(producer))


def test_who_waits_for_memory_is_told(face, address, monkeypatch):
    producer, consumer = face.producer(bind=address, max_bytes=4 * SIZE), face.consumer(connect=address)
    meet(producer, consumer)
    monkeypatch.setattr(channel, "LOOK", 100 * PATIENCE)  # it would look too late by itself
    monkeypatch.setattr(channel, "TICK", 100 * PATIENCE)
    monkeypatch.setattr("nptransport.asyncio.channel.LOOK", 100 * PATIENCE)
    monkeypatch.setattr("nptransport.asyncio.channel._LOOK", 100 * PATIENCE)
    held = []
    with contextlib.suppress(npt.Timeout):
        for number in range(9):
            producer.send(large(number), timeout=0.05)
            held.append(consumer.recv(timeout=PATIENCE))
    with pytest.raises(npt.Timeout, match=f"held by process {os.getpid()}"):
        producer.send(large(9), timeout=0.05)
    asked, sent, told = threading.Event(), threading.Event(), []
    before = producer._lender.take

    def take(nbytes):
        slot = before(nbytes)
        asked.set()
        return slot

    monkeypatch.setattr(producer._lender, "take", take)

    def let_go():
        asked.wait(PATIENCE)
        held.pop(0)
        told.append(sent.wait(PATIENCE))

    thread = threading.Thread(target=let_go)
    thread.start()
    producer.send(large(9), timeout=2 * PATIENCE)
    sent.set()
    thread.join()
    assert told == [True]
    assert number_of(consumer.recv(timeout=PATIENCE)) == 9


@pytest.mark.parametrize("by_lane", [True, False])
def test_what_is_not_accepted_is_let_go_of(face, address, by_lane):
    producer = face.producer(bind=address, max_bytes=8 * SIZE)
    consumer = face.consumer(connect=address, limits=npt.Limits(max_dimensions=1))
    if by_lane:
        meet(producer, consumer)
    for _ in range(50):
        producer.send(large(1).reshape(2, -1), timeout=PATIENCE)
        with pytest.raises(npt.LimitExceeded):
            consumer.recv(timeout=PATIENCE)
    assert consumer.statistics().malformed == 50


def test_what_was_on_the_lane_of_the_dead_is_counted(address, spawn):
    with npt.Producer(bind=address, max_bytes=20 * SIZE) as producer:
        child = spawn(
            CONSUMER
            + """
            held = [consumer.recv() for _ in range(2)]
            say("holds")
            hear()
            """,
            address,
        )
        send_on_lane(producer, child, 6)
        assert child.hear() == "holds"
        child.kill()
        wait_until(lambda: producer._lender.lost == 4)
        assert all_is_back(producer)


def test_without_memory_for_receipts_the_socket_carries_everything(face, address, monkeypatch):
    def refuse():
        raise npt.TransportError("no memory")

    monkeypatch.setattr("nptransport.shm.consignee.make_receipts", refuse)
    producer, consumer = face.pair(address)
    for number in range(20):
        producer.send(large(number))
        assert number_of(consumer.recv(timeout=PATIENCE)) == number
    assert lane_of(producer) is None


def test_slots_without_a_place_go_by_the_socket(face, address, monkeypatch):
    monkeypatch.setattr("nptransport.memory.slots.WORDS", PLACES + 2)
    producer, consumer = face.pair(address)
    meet(producer, consumer)
    held = []
    for number in range(30):
        producer.send(large(number))
        held.append(consumer.recv(timeout=PATIENCE))
    assert [number_of(each) for each in held] == list(range(30))


@pytest.mark.parametrize("first", [AHEAD - 1, AHEAD, AHEAD + 1])
def test_a_full_lane_keeps_the_order(face, address, first):
    producer, consumer = face.producer(bind=address, max_bytes=400 * SIZE), face.consumer(connect=address)
    meet(producer, consumer)
    for number in range(first):
        producer.send(large(number), timeout=PATIENCE)
    got = [number_of(consumer.recv(timeout=PATIENCE)) for _ in range(AHEAD - 1)]
    if first >= AHEAD:
        got.append(number_of(consumer.recv(timeout=PATIENCE)))  # and the socket has its turn
    for number in range(first, first + AHEAD + 2):  # more than goes on the lane
        producer.send(large(number), timeout=PATIENCE)
    got += [number_of(consumer.recv(timeout=PATIENCE)) for _ in range(first + AHEAD + 2 - len(got))]
    assert got == list(range(first + AHEAD + 2))
    assert consumer.statistics().missed == 0


@pytest.mark.parametrize("end", ["consumer.close()", "pass"])
def test_a_forked_child_takes_nothing_from_its_parent(spawn, address, end):
    with npt.Producer(bind=address) as producer:
        child = spawn(
            CONSUMER
            + f"""
            held = consumer.recv()
            import warnings
            warnings.simplefilter("ignore")  # newer Pythons warn of threads
            forked = os.fork()
            if not forked:
                {end}
                sys.exit()
            os.waitpid(forked, 0)
            say("forked")
            hear()
            say([int(consumer.recv()[0]) for _ in range(5)], int(held[0]))
            """,
            address,
        )
        send_on_lane(producer, child, 6)
        assert child.hear() == "forked"
        producer._lender.look()  # and hears what the child has said
        child.say()
        assert child.hear() == "[1, 2, 3, 4, 5] 0"
        assert child.wait() == 0
        assert producer._lender.lost == 0


def test_a_reader_that_cannot_map_receipts_does_without_a_lane(face, address, monkeypatch):
    def refuse(descriptor):
        raise npt.DecodeError("no memory to map")

    monkeypatch.setattr("nptransport.shm.creditor.map_receipts", refuse)
    producer, consumer = face.producer(bind=address, max_bytes=8 * SIZE), face.consumer(connect=address)
    for number in range(30):
        producer.send(large(number), timeout=PATIENCE)
        assert number_of(consumer.recv(timeout=PATIENCE)) == number
    assert lane_of(producer) is None


def test_what_is_held_of_a_sender_that_is_refused_stays(face, address, monkeypatch):
    producer, consumer = face.producer(bind=address, max_bytes=8 * SIZE), face.consumer(connect=address)
    meet(producer, consumer)
    for number in range(2):
        producer.send(large(number))
    held = [consumer.recv(timeout=PATIENCE) for _ in range(2)]
    (creditor,) = consumer._endpoint._borrower._lenders.values()
    creditor.refuse()  # as if what it had offered could not be mapped
    with contextlib.suppress(npt.Timeout):
        for number in range(2, 20):
            producer.send(large(number), timeout=0.05)
    assert [number_of(each) for each in held] == [0, 1]
    held.clear()
    wait_until(lambda: creditor.fileno() < 0)


def test_no_descriptors_are_left_to_hand_over(face, address, monkeypatch):
    producer, consumer = face.pair(address)
    tell = producer._lender._readers._tell

    def fail(reader, record, descriptor):
        if sidechannel.RECORD.unpack(record)[0] == sidechannel.LANE:
            raise OSError(24, "Too many open files")
        tell(reader, record, descriptor)

    monkeypatch.setattr(producer._lender._readers, "_tell", fail)
    for number in range(20):
        producer.send(large(number), timeout=PATIENCE)
        assert number_of(consumer.recv(timeout=PATIENCE)) == number
    assert lane_of(producer) is None


# What somebody else hands over as receipts


def test_what_is_no_memory_for_receipts(tmp_path):
    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    os.ftruncate(loose, WORDS * 8)
    short, _ = allocate(4096, others_write=True)
    closed_to_us, _ = allocate(WORDS * 8)
    file = os.open(tmp_path, os.O_RDONLY)
    for descriptor in (loose, short, closed_to_us, file):
        with pytest.raises(npt.DecodeError):
            map_receipts(descriptor)
        os.close(descriptor)


def test_places_that_are_none_are_not_written_to():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    descriptor, words = make_receipts()
    with theirs:
        lender = Creditor(ours, "")
        socket.send_fds(theirs, [sidechannel.RECORD.pack(sidechannel.RECEIPTS, 0)], [descriptor])
        lender.take_in()
        os.close(descriptor)
        for place in (0, TAKEN, WORDS, 2**32 - 1):
            lender.take(5, place)
        assert not any(words)
        lender.take(6, PLACES)
        assert (words[TAKEN], words[PLACES]) == (6, 0)
        lender.take(7, PLACES + 1)  # what was taken before has not been looked at, and never will be
        assert (words[TAKEN], words[PLACES], words[PLACES + 1]) == (7, 6, 0)
        words[ASLEEP] = 1
        lender.take(8, PLACES + 2)
        assert theirs.recv(64) == 2 * sidechannel.NEWS.to_bytes(8, "little")
        lender.cut()


def test_both_sides_see_the_same_words():
    descriptor, words = make_receipts()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        mapped = map_receipts(descriptor)
        mapped[5] = 2**64 - 1
        assert words[5] == 2**64 - 1
        assert len(words) == len(mapped) == WORDS
