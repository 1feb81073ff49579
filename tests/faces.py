"""What the tests of the endpoints share: both faces called in one way, addresses, other processes, waiting.

A test module imports the fixtures that it uses, and those that they use in turn.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import itertools
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
import zmq

import nptransport as npt
import nptransport.asyncio

PATIENCE = 15  # seconds: far more than anything here takes, so that a failing test ends nevertheless
POLL = 0.005

_ROOTS = [str(Path(npt.__file__).parents[1]), str(Path(__file__).parent)]
_numbers = itertools.count()


def wait_until(condition):
    """What ``condition()`` gives once that is true; AssertionError if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain for " + inspect.getsource(condition).strip()
        time.sleep(POLL)
    return value


class Endpoint:
    """A producer or a consumer of either face: every call blocks, and unless told otherwise none for ever."""

    def __init__(self, endpoint, run):
        self._endpoint = endpoint
        self._run = run

    def __getattr__(self, name):
        value = getattr(self._endpoint, name)
        if not inspect.ismethod(value):
            return value
        if name in ("send", "recv", "recv_message", "flush"):
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


class SyncFace:
    """The classes of nptransport."""

    package = npt

    def __init__(self):
        self._opened = contextlib.ExitStack()

    def run(self, result):
        return result

    def producer(self, **options):
        producer = Endpoint(self.package.Producer(**options), self.run)
        self._opened.callback(producer.close, linger=0)
        return producer

    def consumer(self, **options):
        consumer = Endpoint(self.package.Consumer(**options), self.run)
        self._opened.callback(consumer.close)
        return consumer

    def pair(self, address, **options):
        """A producer connected to a consumer that has bound ``address``."""
        consumer = self.consumer(bind=address)
        return self.producer(connect=consumer.address, **options), consumer

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


def _make_address(transport):
    if transport == "tcp":
        return "tcp://127.0.0.1:0"
    return f"{transport}://{_folder()}/{next(_numbers)}"


@pytest.fixture(name="address", params=["tcp", "ipc", "inproc"])
def address_fixture(request):
    """An address to bind."""
    return _make_address(request.param)


@pytest.fixture(name="new_address", params=["tcp", "ipc", "inproc"])
def new_address_fixture(request):
    """A function that gives an address to bind, another at each call, all of one transport."""
    return functools.partial(_make_address, request.param)


@pytest.fixture(name="wire", params=["tcp", "ipc"])
def wire_fixture(request):
    """An address to bind that other processes can reach."""
    return _make_address(request.param)


@pytest.fixture(name="socket_path")
def socket_path_fixture():
    """A path where there is nothing yet, short enough to be a socket's."""
    return _folder() / str(next(_numbers))


@pytest.fixture(name="sockets")
def sockets_fixture(address):
    """``sockets(kind, kind)``: two sockets of pyzmq, the first bound and the second connected to it."""
    opened = contextlib.ExitStack()

    def make(*kinds, context=None):
        bound, connected = pair = [(context or zmq.Context.instance()).socket(kind) for kind in kinds]
        for socket in pair:
            opened.callback(socket.close, 0)
            socket.rcvtimeo = PATIENCE * 1000
        bound.bind(address)
        connected.connect(bound.last_endpoint.rstrip(b"\0").decode())
        return pair

    with opened:
        yield make


class Child:
    """Another Python process. Its script has ``np``, ``npt``, ``args``, and ``say`` and ``hear``."""

    _PRELUDE = """
        import functools, os, sys, threading, time
        import numpy as np
        import nptransport as npt
        args = sys.argv[1:]
        say = functools.partial(print, flush=True)
        hear = sys.stdin.readline
    """

    def __init__(self, script, args):
        source = textwrap.dedent(self._PRELUDE) + textwrap.dedent(script)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", source, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_ROOTS)},
        )
        self.errors = ""
        self._lines = queue.SimpleQueue()
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def _read_errors(self):
        self.errors = self.process.stderr.read()

    def hear(self):
        """The next line that the child says."""
        line = self._lines.get(timeout=PATIENCE)
        if line is None:
            self.wait()
            raise AssertionError(f"the child ended without a word: {self.errors}")
        return line

    def say(self, line=""):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self):
        """Freeze it, all its threads included, and return once it is frozen."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """At once, and what it has forked."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def wait(self):
        """Its exit status, once it has ended."""
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        return status

    def resident_bytes(self):
        """Memory that it occupies now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.kill()
        self.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture(name="spawn")
def spawn_fixture():
    """``spawn(script, *args)`` runs a script in another process, which ends with the test."""
    children = []

    def spawn(script, *args):
        children.append(Child(script, args))
        return children[-1]

    yield spawn
    for child in children:
        child.end()
