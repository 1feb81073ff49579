"""Forged descriptors, side channels that lie, readers that cheat: each a counted error, and nothing is spoilt."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import zmq
from children import PATIENCE, wait_until
from faces import needs_shm, socket_path_fixture  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st

import nptransport as npt
from nptransport.codec import descriptor
from nptransport.codec.decoder import Decoder
from nptransport.codec.descriptor import Descriptor, Piece
from nptransport.codec.encoder import Encoder
from nptransport.codec.envelope import EnvelopeWriter
from nptransport.codec.metadata import ALONE, with_entry
from nptransport.memory.segments import HEADER, Mapping, Segment
from nptransport.shm import sidechannel

pytestmark = needs_shm

SIZE = 100_000


@pytest.fixture(name="ends")
def ends_fixture(socket_path):
    """A producer and a consumer that have met, and a plain socket that sends to the consumer, too."""
    with contextlib.ExitStack() as opened:
        consumer = opened.enter_context(npt.Consumer(bind=f"shm://{socket_path}"))
        producer = npt.Producer(connect=consumer.address)
        opened.callback(producer.close, linger=0)
        forger = opened.enter_context(zmq.Context.instance().socket(zmq.PUSH))
        forger.linger = 0
        forger.connect(f"ipc://{socket_path}")
        producer.send(np.arange(SIZE))
        assert consumer.recv(timeout=PATIENCE)[-1] == SIZE - 1
        yield producer, consumer, forger


def forge(entry, array=None):
    """Metadata of an array whose memory is where ``entry`` says."""
    array = np.arange(SIZE) if array is None else array
    envelope = EnvelopeWriter("0123456789abcdef", ALONE).entry(0.0)
    metadata = Encoder().encode(array, envelope)[0]
    return with_entry(metadata, entry)


def descriptor_of(producer):
    """Of the message that the producer sent last."""
    lender = producer._lender
    newest = lender._claims.newest
    slot = next(slot for slots in lender._claims.holdings().values() for slot in slots if slot.generation == newest)
    return Descriptor(lender.identity, slot.segment.number, slot.index, newest, [Piece(0, 0, SIZE * 8)])


FORGERIES = {
    "another sender": lambda real: real._replace(sender=bytes(8)),
    "a segment that is not there": lambda real: real._replace(segment=7),
    "a slot that is not there": lambda real: real._replace(slot=200),
    "a slot that is empty": lambda real: real._replace(slot=3),
    "a generation that has been": lambda real: real._replace(generation=real.generation - 1),
    "a generation to come": lambda real: real._replace(generation=real.generation + 1),
    "beyond the end": lambda real: real._replace(pieces=[Piece(0, 8, SIZE * 8)]),
    "far beyond the end": lambda real: real._replace(pieces=[Piece(0, 2**63, SIZE * 8)]),
    "a length that wraps": lambda real: real._replace(pieces=[Piece(0, 8, 2**64 - 8)]),
    "too short": lambda real: real._replace(pieces=[Piece(0, 0, SIZE)]),
    "another part": lambda real: real._replace(pieces=[Piece(1, 0, SIZE * 8)]),
    "two for one part": lambda real: real._replace(pieces=[Piece(0, 0, SIZE * 8), Piece(0, 0, SIZE * 8)]),
    "no part at all": lambda real: real._replace(pieces=[]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_descriptors(ends, forgery, monkeypatch):
    if forgery == "a segment that is not there":
        monkeypatch.setattr("nptransport.shm.mappings.PATIENCE", 0.5)  # nobody ever offers it
    producer, consumer, forger = ends
    producer.send(np.arange(SIZE))
    held = consumer.recv(timeout=PATIENCE)
    forger.send(forge(descriptor.write_entry(FORGERIES[forgery](descriptor_of(producer)))))
    with pytest.raises(npt.DecodeError):
        consumer.recv(timeout=PATIENCE)
    assert consumer.statistics().malformed == 1
    for index in range(20):
        producer.send(np.full(SIZE, index), timeout=PATIENCE)
        assert (consumer.recv(timeout=PATIENCE) == index).all()
    assert (held == np.arange(SIZE)).all()


def test_the_true_descriptor_again_is_the_same_memory(ends):
    """What is said twice is held until both have gone, and released once."""
    producer, consumer, forger = ends
    producer.send(np.arange(SIZE))
    first = consumer.recv(timeout=PATIENCE)
    forger.send(forge(descriptor.write_entry(descriptor_of(producer))))
    second = consumer.recv(timeout=PATIENCE)
    del first
    for index in range(20):
        producer.send(np.full(SIZE, index), timeout=PATIENCE)
        assert (consumer.recv(timeout=PATIENCE) == index).all()
    assert (second == np.arange(SIZE)).all()
    del second
    wait_until(lambda: producer.statistics().bytes_in_flight == 0)


@given(st.binary(max_size=200), st.integers(0, 5))
def test_any_bytes_as_a_descriptor(value, parts):
    with contextlib.suppress(npt.DecodeError):
        read = descriptor.read_descriptor(value, parts)
        entry = descriptor.write_entry(read)
        assert descriptor.split_entry(entry + b"x") == (value, b"x")


@pytest.mark.parametrize("value", [None, 5, "text", b"", b"short", [1], {}])
def test_other_values_of_the_entry(value):
    import msgpack

    values = {"npt": 1, "shared": value, "parts": [["|u1", [3]]]}
    try:
        shared = Decoder().open(msgpack.packb(values))[2]
    except npt.DecodeError:
        return
    with pytest.raises(npt.DecodeError):
        descriptor.read_descriptor(shared, 1)


def test_the_entry_in_another_place_or_spelling():
    import msgpack

    value = descriptor.write_entry(Descriptor(b"s" * 8, 1, 2, 3, [Piece(0, 0, 3)]))[-44:]
    values = {"npt": 1, "parts": [["|u1", [3]]], "shared": value}
    assert Decoder().open(msgpack.packb(values))[2] == value


def test_readers_that_do_not_know_it_refuse(ends):
    """The buffers are not in the message, and so there are fewer than its metadata says."""
    metadata = forge(descriptor.write_entry(Descriptor(b"s" * 8, 1, 2, 3, [Piece(0, 0, SIZE * 8)])))
    with pytest.raises(npt.DecodeError, match="expected 1 buffer parts, found 0"):
        npt.decode([metadata])
    with npt.Consumer(bind="tcp://127.0.0.1:*") as consumer, zmq.Context.instance().socket(zmq.PUSH) as forger:
        forger.connect(consumer.address)
        forger.send(metadata)
        with pytest.raises(npt.DecodeError, match="use shm:// on both sides"):
            consumer.recv(timeout=PATIENCE)


# Readers that cheat


def side_channel_of(producer):
    return producer._lender.path


def cheat(producer, *words):
    connection = sidechannel.connect(side_channel_of(producer), PATIENCE)
    connection.setblocking(True)
    connection.sendall(sidechannel.HELLO + bytes(8) + b"".join(word.to_bytes(8, "little") for word in words))
    return connection


def test_nobody_releases_what_another_holds(ends):
    producer, consumer, _ = ends
    producer.send(np.arange(SIZE))
    held = consumer.recv(timeout=PATIENCE)
    generations = range(1, descriptor_of(producer).generation + 1)
    with cheat(producer, *generations, *(each | sidechannel.RELEASE for each in generations)):
        for index in range(50):
            producer.send(np.full(SIZE, index), timeout=PATIENCE)
            assert (consumer.recv(timeout=PATIENCE) == index).all()
        assert (held == np.arange(SIZE)).all()


def test_a_reader_that_claims_before_the_right_one_spoils_nothing(ends):
    """It may make a message stale. It cannot make it another one."""
    producer, consumer, _ = ends
    for index in range(10):
        producer.send(np.full(SIZE, index), timeout=PATIENCE)
    generations = range(1, 20)
    with cheat(producer, *generations, *(each | sidechannel.RELEASE for each in generations)):
        wait_until(lambda: producer.statistics().bytes_in_flight == 0)
        for index in range(10, 13):
            producer.send(np.full(SIZE, index), timeout=PATIENCE)
        seen = 0
        for index in range(13):
            with contextlib.suppress(npt.DecodeError):
                assert (consumer.recv(timeout=PATIENCE) == index).all()
                seen += 1
        assert seen + consumer.statistics().malformed == 13


@pytest.mark.parametrize(
    "words", [b"", b"junk", b"GET / HTTP/1.1\r\n\r\n", sidechannel.HELLO + bytes(8) + b"\xff" * 80]
)
def test_junk_on_the_side_channel(ends, words):
    producer, consumer, _ = ends
    with socket.socket(socket.AF_UNIX) as junk:
        junk.connect(side_channel_of(producer))
        junk.sendall(words)
        for index in range(20):
            producer.send(np.full(SIZE, index), timeout=PATIENCE)
            assert (consumer.recv(timeout=PATIENCE) == index).all()


def test_a_reader_that_never_listens(ends):
    producer, consumer, _ = ends
    with cheat(producer):
        for size in range(33_000, 2_000_000, 50_000):  # a new segment each, which it is told of
            producer.send(np.full(size, 3, "u1"), timeout=PATIENCE)
            assert (consumer.recv(timeout=PATIENCE) == 3).all()


def test_a_reader_cannot_map_it_writable(ends):
    import mmap

    producer, _, _ = ends
    with cheat(producer) as connection:
        _, descriptors, _, _ = socket.recv_fds(connection, sidechannel.RECORD.size, 1)
        try:
            with pytest.raises(PermissionError):
                mmap.mmap(descriptors[0], HEADER, mmap.MAP_SHARED, mmap.PROT_WRITE)
            with pytest.raises(PermissionError):
                os.write(descriptors[0], b"x")
            with pytest.raises(PermissionError):
                os.ftruncate(descriptors[0], 0)
        finally:
            os.close(descriptors[0])


def test_users_that_are_not_allowed(socket_path, monkeypatch):
    monkeypatch.setattr("nptransport.shm.sidechannel.os.getpid", os.getpid)
    with npt.Consumer(bind=f"shm://{socket_path}") as consumer:
        monkeypatch.setattr("nptransport.shm.readers.peer_of", lambda connection: (1, 12345))
        with npt.Producer(connect=consumer.address, linger=0) as producer:
            producer.send(np.arange(SIZE))
            with pytest.raises(npt.DecodeError, match="it has gone"):
                consumer.recv(timeout=PATIENCE)
        monkeypatch.setenv("NPTRANSPORT_SHM_ALLOW", "12345")
        with npt.Producer(connect=consumer.address) as producer:
            assert Path(side_channel_of(producer)).stat().st_mode & 0o777 == 0o666
            producer.send(np.arange(SIZE))
            assert consumer.recv(timeout=PATIENCE)[-1] == SIZE - 1


def test_a_list_of_users_that_is_none(socket_path, monkeypatch):
    monkeypatch.setenv("NPTRANSPORT_SHM_ALLOW", "me")
    with pytest.raises(npt.AddressError, match="id -u"):
        npt.Producer(bind=f"shm://{socket_path}")


# Segments that lie


def memory(size, *, seal=True, fill=True, content=b""):
    made = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    if fill:
        os.posix_fallocate(made, 0, size)
    else:
        os.ftruncate(made, size)
    os.pwrite(made, content, 0)
    if seal:
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return made


def header(slot_bytes, slots):
    return b"npt-shm\x01" + slot_bytes.to_bytes(8, "little") + slots.to_bytes(8, "little")


@pytest.mark.parametrize(
    "options",
    [
        {"size": 8192, "seal": False, "content": header(4096, 1)},
        {"size": 2**20, "fill": False, "content": header(2**20 - 4096, 1)},
        {"size": 8192, "content": b"something else"},
        {"size": 8192, "content": header(4096, 2)},
        {"size": 8192, "content": header(0, 2**40)},
        {"size": 8192, "content": header(2**63, 2)},
        {"size": 100, "content": header(0, 0)},
    ],
    ids=["not sealed", "not all there", "another format", "too many", "very many", "huge", "short"],
)
def test_segments_that_are_none(options):
    made = memory(**options)
    try:
        with pytest.raises(npt.DecodeError):
            Mapping(made)
    finally:
        os.close(made)


def test_what_is_no_memory_at_all(tmp_path):
    with open(tmp_path / "file", "w+b") as file:
        file.truncate(8192)
        with pytest.raises(npt.DecodeError):
            Mapping(file.fileno())


def test_a_segment_and_its_mapping():
    segment = Segment(1, 4096, 3)
    mapping = Mapping(segment.descriptor)
    segment.slot(2)[:5] = 9
    stamp = segment.stamper(2)
    stamp(77, 5)
    assert mapping.read(2, 77).tolist() == [9] * 5
    for slot, generation in ((2, 76), (1, 77), (0, 77), (3, 77)):
        with pytest.raises(npt.DecodeError):
            mapping.read(slot, generation)
    stamp(77, 5000)
    with pytest.raises(npt.DecodeError):
        mapping.read(2, 77)
    segment.close()


# Shortage


def test_a_shortage_is_an_error_that_says_what_to_do(ends, monkeypatch):
    producer, consumer, _ = ends

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nptransport.memory.memfd.os.posix_fallocate", refuse)
    with pytest.raises(npt.TransportError, match=r"ENOSPC.*lower max_bytes") as caught:
        producer.send(np.zeros(3_000_000))
    assert caught.value.wanted > 24_000_000
    producer.send(np.arange(SIZE), timeout=PATIENCE)  # what there is goes on
    assert consumer.recv(timeout=PATIENCE)[-1] == SIZE - 1


def test_a_limit_of_the_system_is_a_shortage(ends):
    """For real: no more memory may be locked into files than this."""
    import resource

    producer, _, _ = ends
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    array = np.zeros(3_000_000)
    resource.setrlimit(resource.RLIMIT_AS, (used + 10_000_000, hard))
    try:
        with pytest.raises(npt.TransportError, match="ENOMEM"):
            producer.send(array)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_a_system_without_it(monkeypatch, socket_path):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("nptransport.memory.memfd.os.memfd_create", refuse)
    with pytest.raises(npt.AddressError, match=r"EPERM.*allow memfd_create"):
        npt.Producer(bind=f"shm://{socket_path}")
    monkeypatch.setattr("nptransport.memory.memfd.sys.platform", "darwin")
    with pytest.raises(npt.AddressError, match="darwin has no memfd; use ipc://"):
        npt.Producer(bind=f"shm://{socket_path}")
