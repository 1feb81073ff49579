"""Arrays through shared memory: what arrives is safe to hold, comes back when it is let go, and nobody can spoil it."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import face_fixture, knows, needs_shm, shm_address_fixture, socket_path_fixture  # noqa: F401
from segments import is_shared, memfds

import nptransport as npt

pytestmark = needs_shm

SIZE = 100_000  # elements of 8 bytes, well above the crossover


@pytest.fixture(name="new_shm")
def new_shm_fixture(address):
    numbers = itertools.count()
    return lambda: f"{address}-{next(numbers)}"


def in_flight(producer):
    return producer.statistics().bytes_in_flight


def fill(producer):
    """Send until there is no memory left."""
    wait_until(lambda: producer.statistics().connections)
    try:
        for index in range(100):
            producer.send(np.full(SIZE, index), timeout=1.0)
    except npt.Timeout:
        return
    raise AssertionError("there was room for ever")


# What a reader holds


def test_it_does_go_through_shared_memory(face, address):
    producer, consumer = face.pair(address)
    producer.send(np.arange(SIZE))
    got = consumer.recv()
    assert is_shared(got)
    assert (got == np.arange(SIZE)).all()
    assert in_flight(producer) >= got.nbytes
    del got
    wait_until(lambda: in_flight(producer) == 0)


def test_a_received_array_is_truly_read_only(face, address):
    producer, consumer = face.pair(address)
    producer.send({"a": np.zeros(SIZE), "text": "t" * SIZE})
    got = consumer.recv()["a"]
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        got.flags.writeable = True
    with pytest.raises(TypeError, match="read-only"):
        memoryview(got).cast("B")[0] = 1
    assert got.ctypes.data % 64 == 0


def test_it_is_never_written_over_under_a_reader(face, address):
    producer, consumer = face.pair(address, max_bytes=8 * SIZE * 4)
    held = []
    for index in range(3):
        producer.send(np.full(SIZE, index))
        held.append(consumer.recv()[::-1][5:])  # a view on a view is enough
    for index in range(3, 50):
        producer.send(np.full(SIZE, index))
        assert (consumer.recv() == index).all()
    for index, view in enumerate(held):
        assert (view == index).all()


def test_when_all_is_on_loan_send_waits_and_says_who_holds_it(face, address):
    producer, consumer = face.pair(address, max_bytes=8 * SIZE * 3)
    held = []
    for index in range(3):
        producer.send(np.full(SIZE, index))
        held.append(consumer.recv())
    with pytest.raises(npt.Timeout, match=rf"3 messages, \d+ bytes held by process {os.getpid()}"):
        producer.send(np.zeros(SIZE), timeout=0.05)
    threading.Timer(0.05, held.pop).start()
    producer.send(np.full(SIZE, 9))
    assert (consumer.recv() == 9).all()


def test_views_outlive_both_endpoints(face, address):
    before = memfds()
    producer, consumer = face.pair(address)
    producer.send([np.arange(SIZE), np.arange(SIZE) * 2])
    first, second = consumer.recv()
    producer.close()
    consumer.close()
    assert (first * 2 == second).all()
    del first
    gc.collect()
    assert second[-1] == 2 * (SIZE - 1)
    del second
    wait_until(lambda: memfds() <= before)


@pytest.mark.parametrize("how", ["copy", "out", "writable"])
def test_a_copy_lets_go_at_once(face, address, how):
    producer, consumer = face.pair(address)
    producer.send(np.arange(SIZE))
    if how == "copy":
        got = consumer.recv(copy=True)
    elif how == "out":
        got = consumer.recv(out=np.empty(SIZE, int))
    else:
        got = npt.writable(consumer.recv())
    wait_until(lambda: in_flight(producer) == 0)
    got += 1
    assert (got == np.arange(1, SIZE + 1)).all()


def test_what_was_sent_may_be_changed_at_once(face, address):
    producer, consumer = face.pair(address)
    array = np.zeros(SIZE)
    for index in range(20):
        array[:] = index
        producer.send(array)
        array[:] = -1
    for index in range(20):
        assert (consumer.recv() == index).all()


def test_a_message_after_close_is_kept_for_its_reader(face, address):
    """Closing does not wait until the consumer, in this very thread, has read, and says so; the message stays."""
    producer, consumer = face.pair(address)
    producer.send(np.arange(SIZE))
    assert producer.close() == 1
    assert (consumer.recv() == np.arange(SIZE)).all()


def test_many_sizes_in_turn_stay_within_the_budget(face, address):
    def descriptors():
        links = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        return sum("memfd:nptransport" in os.readlink(link) for link in links if link.is_symlink())

    before = descriptors()  # of what other tests left to the garbage collector
    budget = 4_000_000
    producer, consumer = face.pair(address, max_bytes=budget)
    for size in (40_000, 1_000_000, 50_000, 3_000_000, 70_000, 5_000_000, 100_000):
        for _ in range(3):
            producer.send(np.full(size, 7, "u1"))
            assert (consumer.recv() == 7).all()
    assert descriptors() - before < 20


# Loans


def test_a_loan_is_what_arrives(face, address):
    producer, consumer = face.pair(address)
    for _ in range(3):
        with face.lent(producer.loan((300, 400), "f4")) as array:
            array[:] = 7
        got = consumer.recv()
        assert (got.shape, got.dtype) == ((300, 400), np.float32)
        assert (got == 7).all()


class Stop(Exception):
    pass


@pytest.mark.parametrize("transport", ["shm", "tcp"])
def test_an_exception_in_a_loan_sends_nothing(face, address, transport):
    producer, consumer = face.pair(address if transport == "shm" else "tcp://127.0.0.1:0", max_bytes=8 * SIZE * 2)

    def fail():
        with face.lent(producer.loan(SIZE)) as array:
            array[:] = 1
            raise Stop

    for _ in range(5):
        with pytest.raises(Stop):
            fail()
    producer.send(np.arange(3))
    assert consumer.recv().tolist() == [0, 1, 2]
    assert in_flight(producer) == 0


@pytest.mark.parametrize(
    ("shape", "dtype"), [(3, object), ((3, -1), "u1"), (3, "no such"), ("abc", "u1"), (2**40, "u1")]
)
def test_what_cannot_be_lent(address, shape, dtype):
    with npt.Producer(bind=address) as producer, pytest.raises(npt.EncodeError), producer.loan(shape, dtype):
        pass


def test_what_is_equal_to_the_last_shape_is_looked_at_anew(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=consumer.address) as producer:
        for shape in ((1, 3), (1, 3), (True, 3), [1, 3], np.array([1, 3]), (np.int8(1), 3)):
            with producer.loan(shape, "f4") as array:
                array[:] = 1
            assert consumer.recv(timeout=PATIENCE).shape == (1, 3)
        for shape in ((1.0, 3.0), (1, "3"), (np.array([1, 3]), 3)):
            with pytest.raises(npt.EncodeError), producer.loan(shape, "f4"):
                pass


@pytest.mark.parametrize(("shape", "dtype", "order"), [((), "f8", "C"), ((0, 3), "M8[s]", "C"), ((200, 300), "?", "F")])
@pytest.mark.parametrize("transport", ["shm", "tcp"])
def test_loans_of_all_kinds(address, transport, shape, dtype, order):
    address = address if transport == "shm" else "tcp://127.0.0.1:*"
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=consumer.address) as producer:
        with producer.loan(shape, dtype, order=order) as array:
            array[...] = np.zeros((), dtype)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = np.zeros((), dtype)
        got = consumer.recv(timeout=PATIENCE)
        assert (got.shape, got.dtype) == (shape, np.dtype(dtype))
        assert got.flags.f_contiguous or order == "C"


# Death

READER = """
    consumer = npt.Consumer(connect=args[0])
    held = []
    for array in consumer:
        held.append(array)
        say(int(array[0]), len(set(array.tolist())))
        del held[:-int(args[1])]
"""

WRITER = """
    producer = npt.Producer(connect=args[0], max_bytes=64_000_000)
    index = 0
    while True:
        producer.send(np.full(100_000, index))
        index += 1
        if index == 3:
            say("sending")
"""


def test_what_the_dead_held_comes_back(address, spawn):
    with npt.Producer(bind=address, max_bytes=8 * SIZE * 4) as producer:
        for _ in range(3):
            reader = spawn(READER, address, 10)
            fill(producer)
            assert reader.hear()
            before = producer.statistics().disconnects
            reader.kill()
            wait_until(lambda before=before: producer.statistics().disconnects > before)
            last = npt.Consumer(connect=address)
            # Or the dead may be given it: libzmq tells of an end before it has come to it, but not of who comes next.
            wait_until(lambda: producer.statistics().connections == 1)
            producer.send(np.full(SIZE, -1), timeout=PATIENCE)
            while last.recv(timeout=PATIENCE)[0] != -1:
                pass
            last.close()


def test_a_view_outlives_a_sender_that_was_killed(address, spawn):
    before = memfds()
    with npt.Consumer(bind=address) as consumer:
        sender = spawn(WRITER, consumer.address)
        held = [consumer.recv(timeout=PATIENCE) for _ in range(5)]
        sender.kill()
        for view in held:
            assert (view == view[0]).all()
        held.clear()
        del view
        wait_until(lambda: memfds() <= before)  # nobody has to call for that
        with npt.Producer(connect=consumer.address) as other:
            other.send(np.full(SIZE, -5))
            received = iter(consumer)  # what the dead had sent and not handed over is skipped
            while next(received)[0] != -5:
                pass


def test_messages_beside_shared_memory_while_nobody_knows_who_has_it(address, spawn):
    """All memory went to a reader who died before it took anything; the next one is not kept waiting for that."""
    with npt.Producer(bind=address, max_bytes=8 * SIZE * 4) as producer:
        dead = spawn("consumer = npt.Consumer(connect=args[0]); consumer.recv(); say('one'); hear()", address)
        fill(producer)
        dead.hear()
        dead.kill()
        wait_until(lambda: producer.statistics().connections == 0)
        with npt.Consumer(connect=address) as living:
            for index in range(1000, 1020):
                producer.send(np.full(SIZE, index), timeout=PATIENCE)
            got = [living.recv(timeout=PATIENCE) for _ in range(20)]
            assert [int(each[0]) for each in got] == list(range(1000, 1020))
            assert not is_shared(got[0])
            del got

            def sent_in_shared_memory():
                producer.send(np.full(SIZE, 5), timeout=PATIENCE)
                return is_shared(living.recv(timeout=PATIENCE))

            wait_until(sent_in_shared_memory)


# Addresses


@pytest.fixture(name="short_path")
def short_path_fixture(socket_path):
    """A folder whose name is short enough for sockets in folders within it."""
    socket_path.mkdir()
    return socket_path


def test_two_owners_of_one_name(face, address):
    face.consumer(bind=address)
    with pytest.raises(npt.AddressError, match="in use"):
        face.producer(bind=address)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".", "a b", "a;b", "x" * 120, "/no such folder/x"])
def test_names_that_are_none(name):
    with pytest.raises(npt.AddressError):
        npt.Producer(bind=f"shm://{name}")


def test_a_plain_name_lies_in_a_folder_of_the_users_own(short_path, monkeypatch):
    monkeypatch.delenv("NPTRANSPORT_SHM_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    with npt.Consumer(bind="shm://camera") as consumer, npt.Producer(connect="shm://camera") as producer:
        assert consumer.address == "shm://camera"
        assert stat.S_IMODE(os.stat(short_path / "nptransport").st_mode) == 0o700
        producer.send(np.arange(SIZE))
        assert consumer.recv(timeout=PATIENCE)[-1] == SIZE - 1
    (short_path / "nptransport").chmod(0o755)
    with pytest.raises(npt.AddressError, match="chmod 700"):
        npt.Consumer(bind="shm://camera")


def test_the_folder_may_be_chosen(short_path, monkeypatch):
    monkeypatch.setenv("NPTRANSPORT_SHM_DIR", str(short_path / "s"))
    with npt.Consumer(bind="shm://camera"):
        assert (short_path / "s" / "camera").is_socket()


def test_sockets_of_the_dead_are_swept(address, spawn):
    folder = Path(address.removeprefix("shm://")).parent
    with npt.Consumer(bind=address) as consumer:
        before = set(folder.glob("npt-*.side"))
        sender = spawn(WRITER, consumer.address)
        consumer.recv(timeout=PATIENCE)
        left = set(folder.glob("npt-*.side")) - before
        assert left
        sender.kill()
        npt.Producer(connect=consumer.address).close(linger=0)
        assert not left & set(folder.glob("npt-*.side"))


def test_a_mix_of_addresses_is_sent_in_the_message(face, address):
    producer = face.producer(bind=[address, "tcp://127.0.0.1:0"])
    consumer = face.consumer(connect=producer.addresses[1])
    producer.send(np.arange(SIZE))
    got = consumer.recv()
    assert (got == np.arange(SIZE)).all()
    assert not is_shared(got)


# Many readers


def test_one_copy_for_all_subscribers(face, address):
    publisher = face.publisher(bind=address)
    subscribers = [face.subscriber(connect=address) for _ in range(3)]
    wait_until(lambda: knows(publisher, "", "", ""))
    publisher.send(np.arange(SIZE))
    got = [subscriber.recv() for subscriber in subscribers]
    assert all(is_shared(each) and (each == np.arange(SIZE)).all() for each in got)
    assert publisher.statistics().bytes_in_flight == SIZE * 8
    for index in range(30):
        publisher.send(np.full(SIZE, index))
        assert all((subscriber.recv() == index).all() for subscriber in subscribers)
    assert all((each == np.arange(SIZE)).all() for each in got)
    del got
    wait_until(lambda: publisher.statistics().bytes_in_flight == 0)


def test_who_holds_everything_misses_what_comes_and_the_others_go_on(face, address):
    publisher = face.publisher(bind=address, max_bytes=SIZE * 8 * 8)
    greedy, healthy = (face.subscriber(connect=address) for _ in range(2))
    wait_until(lambda: knows(publisher, "", ""))
    held = []
    for index in range(40):
        publisher.send(np.full(SIZE, index))
        assert (healthy.recv() == index).all()
        with contextlib.suppress(npt.Timeout):
            held.append(greedy.recv(timeout=0))
    assert 0 < len(held) < 40
    for each in held:
        assert (each == each[0]).all()
    dropped = [state.dropped_for_bytes for state in publisher.statistics().subscribers.values()]
    assert min(dropped) == 0 < max(dropped)
    count = len(held)
    del each
    held.clear()
    publisher.send(np.full(SIZE, 99))
    while healthy.recv()[0] != 99:
        pass
    while greedy.recv()[0] != 99:
        count += 1
    statistics = greedy.statistics()
    assert statistics.received + statistics.missed == 41
    assert statistics.missed == max(dropped)


SUBSCRIBER = """
    subscriber = npt.Subscriber(connect=args[0])
    held = []
    for array in subscriber:
        held.append(array)
        say(len(held))
"""


def test_what_a_dead_subscriber_held_comes_back(address, spawn):
    with npt.Publisher(bind=address, max_bytes=SIZE * 8 * 6) as publisher:
        for _ in range(2):
            dead = spawn(SUBSCRIBER, address)
            publisher.wait_for_subscribers(1, timeout=PATIENCE)
            for index in range(20):
                publisher.send(np.full(SIZE, index))
            dead.hear()
            assert publisher.statistics().bytes_in_flight
            dead.kill()
            wait_until(lambda: publisher.statistics().bytes_in_flight == 0)
            wait_until(lambda: not publisher.statistics().subscribers)  # or the next one is taken for it


def test_the_newest_of_each_topic(face, address):
    publisher, subscriber = face.broadcast(address, latest=True, publisher={"retain": 1})
    for index in range(200):
        publisher.send(np.full(SIZE, index), topic="abc"[index % 3])
    newest = {}
    while set(newest.values()) != {197, 198, 199}:
        message = subscriber.recv_message()
        newest[message.topic] = int(message.payload[0])
        assert (message.payload == message.payload[0]).all()
    late = face.subscriber(connect=address)
    assert sorted(int(late.recv()[-1]) for _ in range(3)) == [197, 198, 199]


@pytest.mark.parametrize("transport", ["shm", "tcp"])
def test_a_publishers_loan(face, address, transport):
    publisher, subscriber = face.broadcast(address if transport == "shm" else "tcp://127.0.0.1:*")

    def lend(fail):
        with face.lent(publisher.loan((300, 400), "f4", topic="a")) as array:
            array[:] = 7
            if fail:
                raise Stop

    for _ in range(5):
        with pytest.raises(Stop):
            lend(True)
        lend(False)
        message = subscriber.recv_message()
        assert message.topic == "a"
        assert (message.payload == 7).all()
        assert is_shared(message.payload) == (transport == "shm")
    assert publisher.statistics().messages == 5


def test_through_a_proxy(face, new_shm):
    proxy = face.proxy(frontend=new_shm(), backend=new_shm())
    publisher = face.publisher(connect=proxy.frontend)
    subscriber = face.subscriber(connect=proxy.backend)
    publisher.wait_for_subscribers(1)
    for index in range(20):
        publisher.send({"a": np.full(SIZE, index), "b": index})
        got = subscriber.recv()
        assert got["b"] == index
        assert (got["a"] == index).all()


def test_memory_of_sizes_that_do_not_come_back_is_given_up(face, address):
    before = memfds()
    producer, consumer = face.pair(address, max_bytes=4_000_000)
    for size in range(100_000, 1_600_000, 30_000):  # 42 MB, of which a tenth may be there at a time
        producer.send(np.zeros(size, np.uint8))
        assert len(consumer.recv()) == size
    wait_until(lambda: memfds() - before < 20)
