"""What the tests of the endpoints share: both faces called in one way, addresses, sockets of pyzmq beside, waiting.

A test module imports the fixtures that it uses, and those that they use in turn.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import itertools
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import zmq
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401 - for the tests

import nptransport as npt
import nptransport.asyncio

needs_shm = pytest.mark.skipif(sys.platform != "linux", reason="shm:// needs Linux")

_numbers = itertools.count()


class Endpoint:
    """An endpoint of either face: every call blocks, and unless told otherwise none for ever."""

    def __init__(self, endpoint, run):
        self._endpoint = endpoint
        self._run = run

    def __getattr__(self, name):
        value = getattr(self._endpoint, name)
        if not inspect.ismethod(value):
            return value
        if "timeout" in inspect.signature(value).parameters:
            value = functools.partial(value, timeout=PATIENCE)
        return lambda *args, **options: self._run(value(*args, **options))

    def __iter__(self):
        return self

    def __next__(self):
        if not hasattr(self._endpoint, "__anext__"):
            return next(self._endpoint)
        try:
            return self._run(self._endpoint.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self):
        assert self._endpoint is self._run(_method(self._endpoint, "enter")())
        return self

    def __exit__(self, *error):
        return self._run(_method(self._endpoint, "exit")(*error))


def _method(endpoint, name):
    return getattr(endpoint, f"__a{name}__", None) or getattr(endpoint, f"__{name}__")


def indices(receiver, count):
    return [int(receiver.recv()) for _ in range(count)]


def wait_until_asked(socket, subscriber):
    """Until a ``socket`` of pyzmq has heard what ``subscriber`` wants, which it may say when it looks for messages."""

    def is_known():
        with pytest.raises(npt.Timeout):
            subscriber.recv(timeout=0)
        return socket.poll(0)

    wait_until(is_known)


def knows(publisher, *topics):
    """Whether ``publisher`` knows subscribers of ours that want ``topics``, one entry for each, and no others.

    wait_for_subscribers is content already when the first of a subscriber's subscriptions has come.
    """
    wanted = sorted(tuple(sorted({each} if isinstance(each, str) else set(each))) for each in topics)
    states = publisher.statistics().subscribers
    return "plain" not in states and sorted(state.topics for state in states.values()) == wanted


class SyncFace:
    """The classes of nptransport."""

    package = npt

    def __init__(self):
        self._opened = contextlib.ExitStack()

    def run(self, result):
        return result

    def _open(self, kind, options, **closing):
        endpoint = Endpoint(getattr(self.package, kind)(**options), self.run)
        self._opened.callback(endpoint.close, **closing)
        return endpoint

    def producer(self, **options):
        return self._open("Producer", options, linger=0)

    def consumer(self, **options):
        return self._open("Consumer", options)

    def pair(self, address, **options):
        """A producer connected to a consumer that has bound ``address``."""
        consumer = self.consumer(bind=address)
        return self.producer(connect=consumer.address, **options), consumer

    def publisher(self, **options):
        return self._open("Publisher", options, linger=0)

    def subscriber(self, **options):
        return self._open("Subscriber", options)

    def proxy(self, **options):
        return self._open("Proxy", options, linger=0)

    def broker(self, **options):
        return self._open("Broker", options, linger=0)

    def broadcast(self, address, topics="", publisher=None, **options):
        """A publisher that has bound ``address``, and a subscriber connected to it, of which it knows."""
        publisher = self.publisher(bind=address, **publisher or {})
        subscriber = self.subscriber(connect=publisher.address, topics=topics, **options)
        wait_until(lambda: knows(publisher, topics))
        return publisher, subscriber

    @contextlib.contextmanager
    def lent(self, loan):
        """The array of ``loan``, which ends with the block."""
        with contextlib.ExitStack() as ending:
            array = self.run(_method(loan, "enter")())
            ending.push(lambda *error: self.run(_method(loan, "exit")(*error)))
            yield array

    def close(self):
        self._opened.close()


class AsyncFace(SyncFace):
    """Those of nptransport.asyncio, each call run to its end on an event loop of the face's own."""

    package = nptransport.asyncio

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def run(self, result):
        return self.loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def close(self):
        super().close()
        self.loop.close()


FACES = {"sync": SyncFace, "asyncio": AsyncFace}


@pytest.fixture(name="face", params=FACES)
def face_fixture(request):
    face = FACES[request.param]()
    face.name = request.param
    yield face
    face.close()


@functools.cache
def _folder():
    """A folder for sockets: their paths may be shorter only than those of pytest's own folders can get."""
    path = tempfile.mkdtemp(prefix="npt")
    atexit.register(shutil.rmtree, path)
    return Path(path)


def as_zmq_knows_it(address):
    return address.replace("shm://", "ipc://")


def make_address(transport):
    if transport == "tcp":
        return "tcp://127.0.0.1:0"
    return f"{transport}://{_folder()}/{next(_numbers)}"


@pytest.fixture(name="address", params=["tcp", "ipc", "inproc", "shm"])
def address_fixture(request):
    """An address to bind."""
    return make_address(request.param)


@pytest.fixture(name="address")
def shm_address_fixture():
    """An address to bind, for the tests of shm:// alone."""
    return make_address("shm")


@pytest.fixture(name="new_address", params=["tcp", "ipc", "inproc", "shm"])
def new_address_fixture(request):
    """A function that gives an address to bind, another at each call, all of one transport."""
    return functools.partial(make_address, request.param)


@pytest.fixture(name="wire", params=["tcp", "ipc", "shm"])
def wire_fixture(request):
    """An address to bind that other processes can reach."""
    return make_address(request.param)


@pytest.fixture(name="new_wire", params=["tcp", "ipc", "shm"])
def new_wire_fixture(request):
    """A function that gives an address to bind that other processes can reach, another at each call."""
    return functools.partial(make_address, request.param)


@pytest.fixture(name="socket_path")
def socket_path_fixture():
    """A path where there is nothing yet, short enough to be a socket's."""
    return _folder() / str(next(_numbers))


@pytest.fixture(name="proxy")
def proxy_fixture(face, new_address):
    return face.proxy(frontend=new_address(), backend=new_address())


def bound_address(socket):
    """The address that a socket of pyzmq has bound."""
    return socket.last_endpoint.rstrip(b"\0").decode()


@pytest.fixture(name="sockets_of_zmq")
def sockets_of_zmq_fixture():
    """``sockets_of_zmq(kind, address, *subscriptions)``: a socket of pyzmq, connected, or bound with ``bind=True``."""
    opened = contextlib.ExitStack()

    def make(kind, address, *subscriptions, bind=False, **options):
        socket = zmq.Context.instance().socket(kind)
        opened.callback(socket.close, 0)
        socket.rcvtimeo = PATIENCE * 1000
        for name, value in options.items():
            setattr(socket, name, value)
        (socket.bind if bind else socket.connect)(as_zmq_knows_it(address))
        for topic in subscriptions:
            socket.subscribe(topic)
        return socket

    with opened:
        yield make


@pytest.fixture(name="sockets", params=["tcp", "ipc", "inproc"])
def sockets_fixture(request):
    """``sockets(kind, kind)``: two sockets of pyzmq, the first bound and the second connected to it."""
    address = make_address(request.param)
    opened = contextlib.ExitStack()

    def make(*kinds, context=None):
        bound, connected = pair = [(context or zmq.Context.instance()).socket(kind) for kind in kinds]
        for socket in pair:
            opened.callback(socket.close, 0)
            socket.rcvtimeo = PATIENCE * 1000
        bound.bind(address)
        connected.connect(bound_address(bound))
        return pair

    with opened:
        yield make
