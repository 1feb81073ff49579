"""Endpoints used where they cannot work, and addresses that cannot be used: an error that says what to do."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import socket
import sys
import threading

import numpy as np
import pytest
from faces import PATIENCE, address_fixture, face_fixture, socket_path_fixture, spawn_fixture, wait_until, wire_fixture  # noqa: F401

import nptransport as npt
import nptransport.asyncio

# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child(face, address, spawn):
    """Refused there, at its end, too, in silence; the parent goes on working."""
    child = spawn(
        """
        import faces, warnings
        warnings.simplefilter("ignore")  # forking with threads; sockets that the child leaves open
        face = faces.FACES[args[0]]()
        producer, consumer = face.pair(args[1])
        producer.send(np.array(1))
        consumer.recv()
        parent, child = os.getpid(), os.fork()
        if not child:
            for use in (lambda: producer.send(np.array(2)), lambda: producer.send(np.zeros(10**5)), consumer.recv):
                try:
                    use()
                    say("no error")
                except npt.MisuseError as error:
                    assert error.expected == f"process {parent}", error
                    assert error.found == f"process {os.getpid()}", error
                    say("refused")
            sys.exit()
        say(os.waitpid(child, 0)[1])
        producer.send(np.array(3))
        say(consumer.recv())
        say(producer.close())
        face.close()
        """,
        *(face.name, address),
    )
    assert [child.hear() for _ in range(6)] == ["refused", "refused", "refused", "0", "3", "0"]
    assert child.wait() == 0
    assert child.errors == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_that_closes_leaves_the_event_loop_of_its_parent_alone(wire, spawn):
    child = spawn(
        """
        import asyncio, warnings
        import nptransport.asyncio
        warnings.simplefilter("ignore")  # as above
        nptransport.asyncio.channel._LOOK = 3600  # so that nothing but the socket wakes who waits

        async def main():
            consumer = npt.asyncio.Consumer(bind=args[0])
            with npt.Producer(connect=consumer.address) as producer:
                producer.send(np.array(1))
                await consumer.recv()
                child = os.fork()
                if not child:
                    await consumer.close()
                    os._exit(0)
                say(os.waitpid(child, 0)[1])
                waiting = asyncio.ensure_future(consumer.recv())
                await asyncio.sleep(0)
                producer.send(np.array(2))
                say(await asyncio.wait_for(waiting, 10))
            await consumer.close()

        asyncio.run(main())
        """,
        wire,
    )
    assert [child.hear() for _ in range(2)] == ["0", "2"]
    assert child.wait() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_accounts_are_not_there_in_a_forked_child(tmp_path, spawn):
    """They are the parent's, and to ask libzmq in a child would not end."""
    child = spawn(
        """
        import warnings
        warnings.simplefilter("ignore")  # as above
        a, b, c, d, e, f = (f"ipc://{args[0]}/{number}" for number in range(6))
        endpoints = [
            npt.Consumer(bind=a), npt.Producer(connect=a), npt.Publisher(bind=b), npt.Subscriber(connect=b),
            npt.Server(bind=c), npt.Client(connect=c), npt.Broker(frontend=d, backend=e), npt.Worker(connect=e),
            npt.Proxy(frontend=f, backend=f + "b"),
        ]
        for endpoint in endpoints:
            endpoint.statistics()
        child = os.fork()
        if not child:
            for endpoint in endpoints:
                try:
                    endpoint.statistics()
                    say(f"{type(endpoint).__name__}: no error")
                except npt.MisuseError:
                    pass
            say("all refused")
            sys.exit()
        say(os.waitpid(child, 0)[1])
        """,
        tmp_path,
    )
    assert [child.hear() for _ in range(2)] == ["all refused", "0"]


# Threads


def test_two_threads_at_once(address):
    begun = threading.Event()

    def read():
        begun.set()
        while True:
            try:
                return list(consumer)  # until it is closed
            except npt.MisuseError:
                pass  # the other was first

    def is_refused():
        try:
            consumer.recv(timeout=0)
        except npt.Timeout:
            return None
        except npt.MisuseError as error:
            return error

    with npt.Consumer(bind=address) as consumer:
        reader = threading.Thread(target=read, name="the reader")
        reader.start()
        error = wait_until(is_refused)
        assert (error.expected, error.found) == ("thread the reader", f"thread {threading.current_thread().name}")
        assert "lock" in str(error)
    reader.join()


def test_one_thread_after_the_other(address):
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=consumer.address) as producer:
        for index in range(10):
            for call in (lambda index=index: producer.send(np.full(10_000, index)), consumer.recv):
                thread = threading.Thread(target=call)
                thread.start()
                thread.join()
            producer.send(np.array(index))
            assert consumer.recv(timeout=PATIENCE) == index


def test_statistics_for_a_thread_that_only_looks(wire):
    """They are there while another thread is sending and consumers come and go, or they are refused."""
    mistakes, enough = [], threading.Event()

    def look():
        while not enough.is_set():
            try:
                assert producer.statistics().messages >= 0
            except npt.MisuseError:
                pass
            except Exception as mistake:  # noqa: BLE001 - what comes is what the test is about
                mistakes.append(mistake)

    with npt.Producer(bind=wire, linger=0) as producer:
        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for index in range(100):
                with npt.Consumer(connect=producer.address):
                    producer.send(np.array(index), timeout=PATIENCE)
        finally:
            enough.set()
            for thread in threads:
                thread.join()
    assert mistakes == []


# Event loops


def test_a_second_event_loop(address):
    async def use():
        await producer.send(np.array(1))
        return int(await consumer.recv())

    consumer = nptransport.asyncio.Consumer(bind=address)
    producer = nptransport.asyncio.Producer(connect=consumer.address)
    first = asyncio.new_event_loop()
    assert first.run_until_complete(use()) == 1
    with pytest.raises(npt.MisuseError, match="one endpoint for each loop") as caught:
        asyncio.run(use())
    assert "first" in caught.value.expected
    first.close()
    assert asyncio.run(use()) == 1  # its loop is over, and the endpoint is not
    asyncio.run(producer.close())
    asyncio.run(consumer.close())


# Arguments


def test_what_follows_the_payload_is_named(face, address):
    consumer = face.consumer(bind=address)
    producer = face.producer(connect=consumer.address)
    with pytest.raises(TypeError):
        face.package.Producer(address)
    with pytest.raises(TypeError):
        face.package.Consumer(address)
    with pytest.raises(TypeError):
        producer.send(np.zeros(3), 1.0)
    with pytest.raises(TypeError):
        consumer.recv(1.0)


@pytest.mark.parametrize(
    "make", [npt.Producer, npt.Consumer, nptransport.asyncio.Producer, nptransport.asyncio.Consumer]
)
@pytest.mark.parametrize("option", ["max_messages", "max_bytes"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_of_nothing(make, option, value):
    with pytest.raises(ValueError, match=f"{option}={value}: expected at least 1"):
        make(bind="inproc://limit", **{option: value})


@pytest.mark.parametrize("option", ["max_messages", "max_bytes"])
@pytest.mark.parametrize("make", [npt.Producer, npt.Consumer, npt.Publisher])
def test_a_limit_that_is_no_number(make, option):
    with pytest.raises(TypeError, match=f"{option}='5': expected a number"):
        make(bind="inproc://limit", **{option: "5"})


WRONG_LINGER = [("a", TypeError), (None, TypeError), (-1, ValueError), (float("nan"), ValueError)]
LINGERING = {
    "Producer": {"bind": "inproc://linger"},
    "Publisher": {"bind": "inproc://linger"},
    "Proxy": {"frontend": "inproc://linger", "backend": "inproc://linger2"},
    "Server": {"bind": "inproc://linger"},
    "Broker": {"frontend": "inproc://linger", "backend": "inproc://linger2"},
    "Worker": {"connect": "tcp://127.0.0.1:1"},
}


@pytest.mark.parametrize("kind", LINGERING)
def test_how_long_to_linger(face, kind):
    """What is refused leaves nothing behind, and an endpoint open."""
    make, where = getattr(face.package, kind), LINGERING[kind]
    for linger, error in WRONG_LINGER:
        with pytest.raises(error, match=f"linger={linger!r}: expected"):
            make(**where, linger=linger)
    endpoint = make(**where, linger=float("inf"))
    for linger, error in WRONG_LINGER:
        if linger is not None:
            with pytest.raises(error, match=f"linger={linger!r}: expected"):
                face.run(endpoint.close(linger=linger))
    assert not endpoint.closed
    face.run(endpoint.close())
    assert endpoint.closed


@pytest.mark.parametrize("kind", LINGERING)
def test_what_an_endpoint_shows_of_itself(face, kind):
    where = LINGERING[kind]
    address, *_ = where.values()
    shown = (
        f"{kind} {address}" if len(where) == 1 else " ".join([kind, *(f"{name}={at}" for name, at in where.items())])
    )
    endpoint = getattr(face.package, kind)(**where)
    assert repr(endpoint) == f"<{shown}>"
    face.run(endpoint.close(linger=0))
    assert repr(endpoint) == f"<{shown} closed>"


@pytest.mark.parametrize("kind", ["Broker", "Proxy"])
def test_to_serve_for_a_while(face, kind):
    endpoint = getattr(face.package, kind)(**LINGERING[kind])
    with pytest.raises(npt.Timeout, match=r"still serving after 0\.02 s") as caught:
        face.run(endpoint.serve(timeout=0.02))
    assert caught.value.seconds == 0.02
    face.run(endpoint.close())
    face.run(endpoint.serve(timeout=PATIENCE))


@pytest.mark.parametrize("kind", ["producer", "consumer", "publisher", "subscriber"])
def test_a_limit_of_more_than_libzmq_can_count(face, address, kind):
    getattr(face, kind)(bind=address, max_messages=2**40).close()


# Addresses

LONG = "/tmp/" + "x" * 103

WRONG = [
    ("bind", "tcp://127.0.0.1", "HOST:PORT"),
    ("bind", "tcp://127.0.0.1:", "HOST:PORT"),
    ("bind", "tcp://127.0.0.1:http", "HOST:PORT"),
    ("bind", "tcp://127.0.0.1:-1", "HOST:PORT"),
    ("bind", "tcp://:5555", "HOST:PORT"),
    ("bind", "tcp://a b:5555", "HOST:PORT"),
    ("connect", "tcp://::1:5555", "HOST:PORT"),
    ("connect", "tcp://127.0.0.1:5555 ", "HOST:PORT"),
    ("connect", "tcp://127.0.0.1:5555/path", "HOST:PORT"),
    ("bind", "tcp://127.0.0.1:65536", "at most 65535"),
    ("connect", "tcp://127.0.0.1:99999", "at most 65535"),
    ("connect", "tcp://*:5555", "is for bind"),
    ("connect", "tcp://127.0.0.1:*", "is for bind"),
    ("connect", "tcp://127.0.0.1:0", "is for bind"),
    ("bind", "tcp://192.0.2.1:0", "no address of this machine"),
    ("bind", "udp://127.0.0.1:5555", "ipc://PATH, inproc://NAME or shm://NAME"),
    ("bind", "127.0.0.1:5555", "tcp://HOST:PORT"),
    ("bind", "", "tcp://HOST:PORT"),
    ("bind", "inproc://", "inproc://NAME"),
    ("bind", "inproc://a\0b", ""),
    ("connect", "tcp://a\0b:5555", ""),
    ("connect", "tcp://\ud800:5555", ""),
    ("bind", "ipc:///tmp/\udcff", ""),
    ("bind", "ipc://", "path of a socket file"),
    ("bind", "ipc:///no/such/folder/s", "there is no folder /no/such/folder"),
    ("bind", f"ipc://{LONG}", "at most 107 bytes"),
    ("connect", f"ipc://{LONG}", "at most 107 bytes"),
    ("bind", "shm://a/b", "shm://NAME"),
    ("connect", "shm://", "shm://NAME"),
]


@pytest.mark.parametrize(("option", "address", "words"), WRONG)
def test_wrong_addresses(option, address, words):
    for make in (npt.Producer, npt.Consumer):
        with pytest.raises(npt.AddressError) as caught:
            make(**{option: address})
        assert caught.value.address in (address, repr(address))
        assert words in str(caught.value)
        with pytest.raises(npt.AddressError):  # also behind a good one
            make(**{option: ["inproc://good", address]})


@pytest.mark.parametrize("options", [{}, {"bind": []}, {"bind": None, "connect": ()}])
def test_no_address(options):
    with pytest.raises(npt.AddressError, match="no address") as caught:
        npt.Consumer(**options)
    assert caught.value.address == ""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (npt.Consumer, r"give bind='tcp://\*:5555' or connect='tcp://HOST:5555'"),
        (npt.Worker, "give connect='tcp://HOST:5555'"),
        (npt.Broker, r"give frontend='tcp://\*:5555'"),
        (lambda: npt.Broker(frontend="inproc://frontend"), r"give backend='tcp://\*:5555'"),
        (npt.Proxy, r"give backend='tcp://\*:5555' or connect_backend='tcp://HOST:5555'"),
        (
            lambda: npt.Proxy(backend="inproc://b"),
            r"give frontend='tcp://\*:5555' or connect_frontend='tcp://HOST:5555'",
        ),
    ],
)
def test_no_address_tells_the_keywords_that_there_are(make, words):
    with pytest.raises(npt.AddressError, match=f"^no address: {words}$"):
        make()


@pytest.mark.parametrize("address", [5555, b"tcp://127.0.0.1:5555", [None], [b"ipc:///tmp/s"], object()])
def test_what_is_no_text(address):
    with pytest.raises(npt.AddressError, match="expected a str"):
        npt.Consumer(bind=address)


def test_an_address_in_use(face, wire, spawn):
    child = spawn("consumer = npt.Consumer(bind=args[0]); say(consumer.address); say(consumer.recv())", wire)
    address = child.hear()
    for make in (face.producer, face.consumer):
        with pytest.raises(npt.AddressError, match="in use") as caught:
            make(bind=address)
        assert caught.value.address == address
    face.producer(connect=address).send(np.array(7))  # and its owner has not noticed
    assert child.hear() == "7"


def test_an_inproc_address_in_use(face):
    consumer = face.consumer(bind="inproc://taken")
    with pytest.raises(npt.AddressError, match="in use"):
        face.consumer(bind="inproc://taken")
    face.producer(connect="inproc://taken").send(np.array(7))
    assert consumer.recv() == 7


def test_a_file_that_is_no_socket(face, socket_path):
    """libzmq deletes whatever stands at the path that it binds."""
    socket_path.write_bytes(b"precious")
    with pytest.raises(npt.AddressError) as caught:
        face.consumer(bind=f"ipc://{socket_path}")
    assert caught.value.address == f"ipc://{socket_path}"
    assert socket_path.read_bytes() == b"precious"


def test_a_socket_file_left_behind(face, socket_path):
    """Its owner was killed; nobody answers there any more."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    consumer = face.consumer(bind=f"ipc://{socket_path}")
    face.producer(connect=consumer.address).send(np.array(7))
    assert consumer.recv() == 7


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root may bind any port and write anywhere")
def test_what_needs_privileges():
    for address in ("tcp://127.0.0.1:1", "ipc:///proc/s"):
        with pytest.raises(npt.AddressError, match="not permitted") as caught:
            npt.Consumer(bind=address)
        assert caught.value.address == address


KINDS = ["Producer", "Consumer", "Publisher", "Subscriber", "Server", "Client", "Worker"]


@pytest.mark.parametrize("kind", [*KINDS, "Proxy", "Broker"])
@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, pickle.dumps])
def test_none_is_copied(kind, use):
    here, there = "tcp://127.0.0.1:0", "tcp://127.0.0.1:9"
    where = {"Proxy": {"frontend": here, "backend": here}, "Broker": {"frontend": here, "backend": here}}
    endpoint = getattr(npt, kind)(**where.get(kind, {"connect": there}))
    with pytest.raises(TypeError, match="make one there"):
        use(endpoint)
    assert not endpoint.closed
    endpoint.close()
