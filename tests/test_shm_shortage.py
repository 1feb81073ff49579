"""Shared memory where something is short: memory of a group, descriptors, address space, or room for two messages."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import needs_shm, shm_address_fixture, socket_path_fixture  # noqa: F401
from meeting import large, meet, number_of

import nptransport as npt
from nptransport.memory import memfd
from nptransport.memory.cgroup import find_room
from nptransport.memory.slots import Slots
from nptransport.shm import borrowing, creditor, mappings, readers
from nptransport.transport.kernel import has_ended

pytestmark = needs_shm

SIZE = 100_000


# Control groups


def write_group(folder, version, limit, usage, cache):
    folder.mkdir(parents=True)
    names = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }[version]
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cache}\nactive_file 7\n")


def write_process(folder, groups, mounts):
    folder.mkdir()
    (folder / "cgroup").write_text("".join(f"{line}\n" for line in groups))
    lines = (f"31 23 0:28 {root} {point} rw,relatime - {kind} {kind} {more}\n" for root, point, kind, more in mounts)
    (folder / "mountinfo").write_text("".join(lines))
    return folder


def test_the_smallest_room_on_the_way_up_counts(tmp_path):
    top = tmp_path / "fs"
    write_group(top / "system" / "worker", 2, "max", 900, 0)
    write_group(top / "system" / "other", 2, 10, 10, 0)
    write_group(top.parent / "unused", 2, 10, 10, 0)
    (top / "system" / "memory.max").write_text("1000")
    (top / "system" / "memory.current").write_text("700")
    (top / "system" / "memory.stat").write_text("inactive_file 100\n")
    process = write_process(tmp_path / "proc", ["0::/system/worker"], [("/", top, "cgroup2", "rw")])
    assert find_room(process) == (400, str(top / "system" / "memory.max"))


def test_groups_of_the_first_version_and_full_ones(tmp_path):
    top = tmp_path / "memory"
    write_group(top / "job", 1, 500, 800, 100)
    process = write_process(
        tmp_path / "proc",
        ["3:cpu,cpuacct:/elsewhere", "4:memory:/job", "0::/"],
        [("/", tmp_path / "cpu", "cgroup", "rw,cpu,cpuacct"), ("/", top, "cgroup", "rw,memory")],
    )
    assert find_room(process) == (0, str(top / "job" / "memory.limit_in_bytes"))


def test_a_container_whose_mount_begins_at_its_group(tmp_path):
    write_group(tmp_path / "fs", 1, 500, 100, 0)
    process = write_process(
        tmp_path / "proc", ["4:memory:/docker/abc"], [("/docker/abc", tmp_path / "fs", "cgroup", "rw,memory")]
    )
    assert find_room(process) == (400, str(tmp_path / "fs" / "memory.limit_in_bytes"))


def test_no_groups_no_limit(tmp_path):
    assert find_room(tmp_path / "nothing") is None
    assert find_room(write_process(tmp_path / "proc", ["0::/"], [("/", tmp_path / "fs", "cgroup2", "rw")])) is None


def test_a_group_that_is_full_is_a_shortage(address, monkeypatch):
    with npt.Producer(bind=address) as producer:
        monkeypatch.setattr(memfd, "find_room", lambda: (1000, "/group/memory.max"))
        with pytest.raises(npt.TransportError, match=r"/group/memory.max\) has room for 1000; lower max_bytes"):
            producer.send(np.zeros(SIZE))


# Descriptors and address space


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "fs.file-max"),
        (errno.EFBIG, "ulimit -f"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.EPERM, "allow memfd_create"),
        (errno.ENOSPC, "lower max_bytes"),
    ],
)
def test_an_error_says_which_limit_to_raise(address, monkeypatch, number, remedy):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    with npt.Producer(bind=address) as producer:
        monkeypatch.setattr("nptransport.memory.memfd.os.posix_fallocate", refuse)
        with pytest.raises(npt.TransportError, match=remedy) as caught:
            producer.send(np.zeros(SIZE))
        assert errno.errorcode[number] in caught.value.found


def test_what_cannot_be_mapped_is_mapped_once_it_can(address, monkeypatch):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address, max_bytes=20_000_000) as producer:
        meet(producer, consumer)
        with monkeypatch.context() as patched:
            patched.setattr(mappings, "Mapping", refuse_mapping)
            for _ in range(10):  # more than there is memory for: each is let go of
                producer.send(np.zeros(500_000), timeout=PATIENCE)
                with pytest.raises(npt.DecodeError, match=r"ENOMEM.*ulimit -v"):
                    consumer.recv(timeout=PATIENCE)
        producer.send(np.full(500_000, 5.0), timeout=PATIENCE)
        assert (consumer.recv(timeout=PATIENCE) == 5).all()
        assert consumer.statistics().malformed == 10


def refuse_mapping(descriptor):
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def test_an_offer_that_was_lost_is_asked_for(address, monkeypatch):
    send = readers._send
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        meet(producer, consumer)
        with monkeypatch.context() as patched:
            patched.setattr(readers, "_send", lambda *_: False)  # as with too many descriptors on their way,
            patched.setattr("nptransport.shm.readers.os.dup", refuse_mapping)  # and none left to keep one
            producer.send(np.arange(800_000))
            patched.setattr(readers, "_send", send)
            assert consumer.recv(timeout=PATIENCE)[-1] == 799_999


def test_who_comes_is_let_in_once_there_is_a_descriptor(address, monkeypatch):
    def refuse(*_):
        refused.append(1)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    refused: list[int] = []
    monkeypatch.setattr(mappings, "PATIENCE", 0.2)
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", refuse)
            producer.send(large(1))
            with pytest.raises(npt.DecodeError, match="no word of segment"):
                consumer.recv(timeout=PATIENCE)
            assert refused
        producer.send(large(2))
        assert number_of(consumer.recv(timeout=PATIENCE)) == 2


def test_a_reader_without_a_thread_left_says_so(address, monkeypatch):
    def refuse(*_, **__):
        raise npt.TransportError("no thread is left")

    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        with monkeypatch.context() as patched:
            patched.setattr(borrowing, "Service", refuse)
            producer.send(large(1))
            with pytest.raises(npt.DecodeError, match="no thread is left"):
                consumer.recv(timeout=PATIENCE)
        producer.send(large(2))
        assert number_of(consumer.recv(timeout=PATIENCE)) == 2
        assert consumer.statistics().malformed == 1


def test_an_owner_who_is_too_busy_to_answer_keeps_its_address(socket_path):
    with socket.socket(socket.AF_UNIX) as owner, contextlib.ExitStack() as waiting:
        owner.bind(str(socket_path))
        owner.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                caller = waiting.enter_context(socket.socket(socket.AF_UNIX))
                caller.setblocking(False)
                caller.connect(str(socket_path))
        for address in (f"shm://{socket_path}", f"ipc://{socket_path}"):
            with pytest.raises(npt.AddressError, match="in use"):
                npt.Consumer(bind=address)


# Room


def test_a_loop_over_frames_of_more_than_half_the_memory_goes_on(address):
    """It holds one while it waits for the next."""
    frames, got = 5, []

    def read():
        for frame in consumer:
            got.append(int(frame[0]))
            if len(got) == frames:
                return

    with npt.Consumer(bind=address) as consumer:
        reader = threading.Thread(target=read)
        reader.start()
        with npt.Producer(connect=address, max_bytes=3_000_000) as producer:
            for number in range(frames):
                producer.send(np.full(2_000_000, number, np.uint8), timeout=PATIENCE)
            reader.join(PATIENCE)
    assert got == list(range(frames))


def test_a_subscriber_that_holds_the_last_frame_gets_the_next(address):
    with npt.Publisher(bind=address, max_bytes=3_000_000) as publisher, npt.Subscriber(connect=address) as subscriber:
        publisher.wait_for_subscribers(1, timeout=PATIENCE)
        frame = None
        for number in range(5):
            publisher.send(np.full(2_000_000, number, np.uint8))
            frame = subscriber.recv(timeout=PATIENCE)
            assert frame[0] == number
        assert publisher.statistics().dropped_for_bytes == 0


def test_more_than_that_is_not_to_be_had(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address, max_bytes=3_000_000) as producer:
        held = []
        for _ in range(2):
            producer.send(np.zeros(2_000_000, np.uint8), timeout=PATIENCE)
            held.append(consumer.recv(timeout=PATIENCE))
        with pytest.raises(npt.Timeout, match=r"2 messages, 4000000 bytes held by process \d+; raise max_bytes"):
            producer.send(np.zeros(2_000_000, np.uint8), timeout=0.1)


def test_open_loans_are_named(address):
    with npt.Consumer(bind=address), npt.Producer(connect=address, max_bytes=2_000_000) as producer:
        with contextlib.ExitStack() as loans:
            for _ in range(2):
                loans.enter_context(producer.loan(1_000_000, np.uint8))
            with pytest.raises(npt.Timeout, match=r"20\d{5} bytes in loans that are open here; raise max_bytes"):
                producer.send(np.zeros(1_000_000, np.uint8), timeout=0.1)
            loans.pop_all()  # they go with the producer
        producer.close(linger=0)


def test_a_few_small_ones_that_are_held_do_not_take_all():
    slots = Slots(20_000_000)
    for nbytes in (40_000, 60_000, 90_000, 140_000, 220_000):
        assert slots.grow(nbytes)[0] is not None
        assert slots.pop(nbytes) is not None
    segment, _ = slots.grow(10_000_000)
    assert segment is not None
    slots.close()


def test_statistics_know_what_has_come_back(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        meet(producer, consumer)
        for number in range(3):
            producer.send(large(number))
            consumer.recv(timeout=PATIENCE, copy=True)
        assert producer.statistics().bytes_in_flight == 0


def test_no_loan_of_more_dimensions_than_travel(address):
    with npt.Producer(bind=address) as producer, pytest.raises(npt.EncodeError, match="dimensions"):
        producer.loan((1,) * 65, "f8").__enter__()


def test_a_loan_is_for_one_block(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=address) as producer:
        loan = producer.loan(SIZE, np.uint8)
        with loan as array:
            array[:] = 3
            with pytest.raises(npt.MisuseError, match="open already"):
                loan.__enter__()
        assert (consumer.recv(timeout=PATIENCE) == 3).all()
        with loan as array:  # one after the other is fine
            array[:] = 4
        assert (consumer.recv(timeout=PATIENCE) == 4).all()


# Ends


def test_a_killed_reader_is_missed_though_its_child_lives_on(spawn, address):
    with npt.Producer(bind=address, max_bytes=8 * SIZE) as producer:
        child = spawn(
            """
            consumer = npt.Consumer(connect=args[0])
            held = [consumer.recv() for _ in range(3)]
            child = os.fork()
            if not child:
                import signal
                signal.pause()
            say(child)
            held.append(consumer.recv())
            """,
            address,
        )
        for number in range(3):
            producer.send(large(number), timeout=PATIENCE)
        orphan = int(child.hear())
        try:
            child.process.send_signal(signal.SIGKILL)
            child.process.wait(PATIENCE)
            wait_until(lambda: producer.statistics().connections == 0)
            with npt.Consumer(connect=address) as consumer:
                for number in range(3, 23):
                    producer.send(large(number), timeout=PATIENCE)
                    assert number_of(consumer.recv(timeout=PATIENCE)) == number
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_who_has_ended_and_who_is_only_another_users():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(PATIENCE)
    assert has_ended(child.pid)
    assert not has_ended(os.getpid())
    assert not has_ended(1)


def test_what_lies_on_a_lane_outlives_its_sender(spawn, address, monkeypatch):
    monkeypatch.setattr(borrowing, "_GRACE", 0.0)
    looks = []
    may_be_read = creditor.Creditor.may_be_read
    monkeypatch.setattr(creditor.Creditor, "may_be_read", lambda self: looks.append(1) or may_be_read(self))
    with npt.Consumer(bind=address) as consumer:
        child = spawn(
            """
            from meeting import large
            producer = npt.Producer(connect=args[0])
            while not hear().startswith("end"):
                producer.send(large(1))
                producer._lender.look()
                say(producer._lender._consignees.only is not None)
            for number in range(3):
                producer.send(large(number))
            say(producer.close())
            """,
            address,
        )
        for line in iter(lambda: child.say("send") or child.hear(), "True"):
            assert line == "False"
            assert number_of(consumer.recv(timeout=PATIENCE)) == 1
            with pytest.raises(npt.Timeout):
                consumer.recv(timeout=0)
        assert number_of(consumer.recv(timeout=PATIENCE)) == 1
        child.say("end")
        assert child.hear() == "0"
        child.process.wait(PATIENCE)
        wait_until(lambda: len(looks) > 3)
        assert [number_of(consumer.recv(timeout=PATIENCE)) for _ in range(3)] == [0, 1, 2]
        wait_until(lambda: not consumer._borrower._lenders)
