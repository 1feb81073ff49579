"""What the tests of requests share: servers that answer meanwhile, and clients of both faces called in one way."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from concurrent.futures import CancelledError

import pytest
from children import PATIENCE
from faces import SyncFace

import nptransport as npt


class Served:
    """A server of either face that serves in a thread of its own."""

    def __init__(self, face, kind, setup, options):
        self._up, self.error = threading.Event(), None
        body = self._serve if type(face) is SyncFace else lambda *args: asyncio.run(self._serve_soon(*args))
        self.thread = threading.Thread(target=self._run, args=(body, getattr(face.package, kind), setup, options))
        self.thread.start()
        assert self._up.wait(PATIENCE)
        if self.error is not None:
            raise self.error

    def _run(self, body, *args):
        try:
            body(*args)
        except Exception as error:  # noqa: BLE001 - for the test to see
            self.error = error
        finally:
            self._up.set()

    def _serve(self, kind, setup, options):
        with kind(**options) as self.server:
            self._begin(setup)
            self.server.serve()

    async def _serve_soon(self, kind, setup, options):
        self._loop = asyncio.get_running_loop()
        async with kind(**options) as self.server:
            self._begin(setup)
            await self.server.serve()

    def _begin(self, setup):
        for name, function in setup.items():
            self.server.register(name, function)
        self._up.set()

    def __getattr__(self, name):
        return getattr(self.server, name)

    def close(self, **options):
        if inspect.iscoroutinefunction(self.server.close):
            closing = self.server.close(**options)
            try:
                with contextlib.suppress(CancelledError):  # its loop has ended, and it with that
                    asyncio.run_coroutine_threadsafe(closing, self._loop).result(PATIENCE)
            except RuntimeError:
                closing.close()
        else:
            self.server.close(**options)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


class Calling:
    """A client, and what it has begun."""

    def __init__(self, face, **options):
        self._face = face
        self.client = face.package.Client(**options)

    def call(self, method, *args, timeout=PATIENCE, **kwargs):
        return self._face.run(self.client.call(method, *args, timeout=timeout, **kwargs))

    def submit(self, method, *args, timeout=PATIENCE, **kwargs):
        """A future, or a task."""

        async def begin():
            task = self.client.submit(method, *args, timeout=timeout, **kwargs)
            await asyncio.sleep(0.01)  # it is sent
            return task

        if type(self._face) is SyncFace:
            return self.client.submit(method, *args, timeout=timeout, **kwargs)
        return self._face.run(begin())

    def result(self, future):
        return future.result(PATIENCE) if type(self._face) is SyncFace else self._face.run(future)

    def cancel(self, future):
        future.cancel()
        self.let_run(0.05)

    def let_run(self, seconds=0.0):
        if type(self._face) is not SyncFace:
            self._face.run(asyncio.sleep(seconds))

    def hear(self, child):
        """What ``child`` says next, while the client goes on."""
        return self.meanwhile(child.hear)

    def meanwhile(self, wait):
        """What ``wait()`` gives, while the client goes on."""
        return wait() if type(self._face) is SyncFace else self._face.run(asyncio.to_thread(wait))

    def map(self, method, items, *, timeout=PATIENCE, **options):
        """Its results, one by one."""
        results = self.client.map(method, items, timeout=timeout, **options)
        if type(self._face) is SyncFace:
            yield from results
            return
        try:
            while True:
                try:
                    yield self._face.run(results.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._face.run(results.aclose())

    def statistics(self):
        self.let_run()
        return self.client.statistics()

    def close(self):
        self._face.run(self.client.close())


@pytest.fixture(name="serve")
def serve_fixture(face):
    """``serve({name: function}, **options)``: a server that answers meanwhile."""
    opened = []

    def serve(functions, *, kind="Server", **options):
        opened.append(Served(face, kind, functions, options))
        return opened[-1]

    yield serve
    for served in opened:
        served.close(linger=0)
        if served.error is not None:
            raise served.error


@pytest.fixture(name="calling")
def calling_fixture(face):
    """``calling(connect=...)``: a client."""
    opened = []

    def calling(**options):
        opened.append(Calling(face, **options))
        return opened[-1]

    yield calling
    for client in opened:
        client.close()


@pytest.fixture(name="gate")
def gate_fixture():
    """Handlers wait for it; it opens at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


def remote_error(client, *args, **kwargs):
    """The error that a call ends in."""
    with pytest.raises(npt.RemoteError) as caught:
        client.call(*args, **kwargs)
    return caught.value
