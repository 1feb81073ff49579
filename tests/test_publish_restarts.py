"""Publishers that are killed and start again, and networks that die without a word: subscribers go on untouched."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import zmq
from cable import cable_fixture  # noqa: F401
from faces import face_fixture, knows, spawn_fixture, wait_until, wire_fixture  # noqa: F401

import nptransport as npt
from nptransport.transport.connections import Connections

PUBLISHER = """
    publisher = npt.Publisher(bind=args[0])
    say(publisher.address, publisher._program.source)
    for index in range(10**9):
        publisher.send(np.full(int(args[1]), index), topic="a")
        time.sleep(0.002)
"""


@pytest.mark.parametrize(("latest", "size"), [(False, 10), (True, 50_000)])
def test_a_publisher_is_killed_and_started_again(face, wire, spawn, latest, size):
    subscriber, address = None, wire
    for generation in range(1, 3):
        child = spawn(PUBLISHER, address, size)
        address, source = child.hear().split()
        subscriber = subscriber or face.subscriber(connect=address, latest=latest, max_messages=1000)
        count = 0
        while count < 20:
            message = subscriber.recv_message()
            count += message.source == source
            assert (message.payload == message.sequence).all()
        child.kill()
        wait_until(lambda read=subscriber, ended=generation: read.statistics().disconnects == ended)
    statistics = subscriber.statistics()
    assert len(statistics.streams) == 2
    assert (statistics.missed if not latest else 0, statistics.duplicates, statistics.malformed) == (0, 0, 0)
    for stream in statistics.streams.values():
        assert stream.sent == stream.received + stream.skipped + stream.missed


def test_others_are_heard_meanwhile(face, wire, spawn):
    """One of two publishers dies; the other's stream has no gap."""
    stays = face.publisher(bind=wire)
    child = spawn(PUBLISHER, "tcp://127.0.0.1:0", 10)
    address, source = child.hear().split()
    subscriber = face.subscriber(connect=[stays.address, address])
    wait_until(lambda: knows(stays, ""))
    heard = set()
    for index in range(60):
        stays.send(np.array(index), topic="stays")
        while (message := subscriber.recv_message()).topic == "a":
            heard.add(message.source)
        assert message.sequence == index
        if index == 30:
            wait_until(lambda: heard == {source} or heard.add(subscriber.recv_message().source))
            child.kill()
    streams = {topic: stream for (_, topic), stream in subscriber.statistics().streams.items()}
    assert streams["stays"].missed == 0


class Sender:
    """Sends from a thread until it is told to stop."""

    def __init__(self, publisher):
        self._publisher, self._enough = publisher, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._enough.wait(0.005):
            self._publisher.send(np.zeros(100), topic="a")

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *error):
        self._enough.set()
        self._thread.join()


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("talks", [True, False], ids=["sends", "idle"])
def test_a_network_that_falls_silent(face, cable, latest, talks):
    """Nothing is closed, nothing arrives: the subscriber connects anew by itself, from an idle publisher, too."""
    with npt.Publisher(bind="tcp://127.0.0.1:0", linger=0) as publisher:
        line = cable(publisher.address)
        subscriber = face.subscriber(connect=line.address, latest=latest)
        wait_until(lambda: knows(publisher, ""))
        with Sender(publisher):
            first = subscriber.recv_message()
        if not talks:
            until_nothing_comes(subscriber, 0.6)  # a word has come meanwhile
        with Sender(publisher):
            line.fall_silent()
            last = until_nothing_comes(subscriber, 0.3) or first
            message = subscriber.recv_message()
            assert message.sequence > last.sequence
        assert line.accepted == 2
        wait_until(lambda: knows(publisher, ""))  # the dead connection is no second subscriber
        (stream,) = subscriber.statistics().streams.values()
        assert stream.received + stream.skipped + stream.missed == stream.sent


def until_nothing_comes(subscriber, seconds):
    message = None
    try:
        while True:
            message = subscriber.recv_message(timeout=seconds)
    except npt.Timeout:
        return message


def test_a_dead_connection_beside_a_busy_one(face, cable):
    """What comes from others all the time does not hide that nothing comes from one."""
    with (
        npt.Publisher(bind="tcp://127.0.0.1:0", linger=0) as busy,
        npt.Publisher(bind="tcp://127.0.0.1:0", linger=0) as dead,
    ):
        line = cable(dead.address)
        subscriber = face.subscriber(connect=[busy.address, line.address])
        wait_until(lambda: knows(busy, "") and knows(dead, ""))
        with Sender(busy), Sender(dead):
            wait_until(lambda: subscriber.recv_message().source == dead._program.source)
            line.fall_silent()
            wait_until(lambda: subscriber.recv() is None or line.accepted == 2)
            wait_until(lambda: subscriber.recv_message().source == dead._program.source)
        assert subscriber.statistics().streams[busy._program.source, "a"].missed == 0


def test_a_slow_reader_is_no_dead_network(face, wire):
    """While it does not read, there is no room for words; it keeps its connection, and what is on its way."""
    with npt.Publisher(bind=wire, max_messages=3, linger=0) as publisher:
        subscriber = face.subscriber(connect=publisher.address, max_messages=1)
        wait_until(lambda: knows(publisher, ""))
        with Sender(publisher):
            for _ in range(20):
                subscriber.recv()
                until_nothing_comes(subscriber, 0)
                time.sleep(0.1)  # it is busy
        assert (subscriber.statistics().disconnects, publisher.statistics().disconnects) == (0, 0)


def test_a_descriptor_that_is_used_again_is_another_connection():
    numbers = []
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind("tcp://127.0.0.1:*")
        connections = Connections(socket)
        for _ in range(3):
            with context.socket(zmq.PUSH) as peer:
                peer.connect(socket.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())
                peer.send(b"")
                descriptor = socket.recv(copy=False).get(zmq.SRCFD)
                numbers.append(connections.number_of(descriptor))
                assert connections.numbered(numbers[-1]) == descriptor
            wait_until(lambda number=numbers[-1]: connections.numbered(number) is None)
        assert connections.number_of(None) is None
        socket.disable_monitor()
        connections.close()
    assert None not in numbers
    assert len(set(numbers)) == 3
