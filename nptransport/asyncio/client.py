"""Client, with methods to await."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Any

import zmq

from ..limits import DEFAULT_LIMITS, Limits
from ..patterns.progress import Progress
from ..patterns.requesting import MAX_BYTES, SLICE, WINDOW_BYTES, WINDOW_CALLS, Requesting
from ..protocol.calls import Call
from ..protocol.window import Window
from ..transport.addresses import Addresses
from ..transport.curve import Curve
from ..transport.steps import Need
from .channel import Channel

__all__ = ["Client"]

_LAST_WORDS = 0.1  # seconds for calls given up to be told of once nothing is outstanding


class Client(Requesting):
    """:class:`nptransport.Client` for asyncio: the same arguments and errors. Tasks of one event loop may share it."""

    _channel: Channel

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._pumping: asyncio.Task[None] | None = None
        self._room: set[asyncio.Future[None]] = set()
        self._set_up(Channel, bind, connect, max_bytes, limits, context, security)

    async def call(self, method: str, /, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """As :meth:`nptransport.Client.call`. If it is cancelled, the call is given up."""
        return await self._finish(self._start(method, args, kwargs, timeout))

    def submit(self, method: str, /, *args: Any, timeout: float | None = None, **kwargs: Any) -> asyncio.Task[Any]:
        """As :meth:`call`, begun at once: a task, to be awaited for the result. On return the arguments may be changed.

        It is sent once there is room in ``max_bytes``. If the task is cancelled, the call is given up.
        """
        return asyncio.get_running_loop().create_task(self._finish(self._start(method, args, kwargs, timeout)))

    async def map(
        self,
        method: str,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        ordered: bool = True,
        progress: bool = False,
        max_bytes: int = WINDOW_BYTES,
        max_calls: int = WINDOW_CALLS,
        timeout: float | None = None,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """As :meth:`nptransport.Client.map`, where ``items`` may also be an asynchronous iterable.

        To leave before the last result, use ``async with contextlib.aclosing(client.map(...)) as results``: it gives up
        what is outstanding at once, and not when the generator happens to be collected.
        """
        source, window = _iterate(items), Window(max_calls, max_bytes)
        pending: dict[asyncio.Future[Any], Call] = {}
        done: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
        more = True
        with Progress(progress, items, method) as bar:
            try:
                while True:
                    while more and window.has_room():
                        try:
                            call = self._start(method, (await source.__anext__(),), {}, timeout)
                        except StopAsyncIteration:
                            more = False
                            break
                        task = asyncio.get_running_loop().create_task(self._finish(call))
                        pending[task] = call
                        window.add(call)
                        if not ordered:
                            task.add_done_callback(done.put_nowait)
                        del call, task
                        if next(iter(pending)).done() if ordered else not done.empty():
                            break  # one in, one out: who makes the items may take their time
                    if not pending:
                        return
                    first = next(iter(pending)) if ordered else await done.get()
                    try:
                        result = await first
                    except Exception as error:
                        if not return_exceptions:
                            raise
                        result = error
                    window.remove(pending.pop(first))
                    bar.advance()
                    del first
                    yield result
                    del result
            finally:
                for rest in pending:
                    rest.cancel()
                await asyncio.gather(*pending, return_exceptions=True)

    def _start(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None) -> Call:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = self._prepare(method, args, kwargs, timeout, lambda _: _finish(future), keep=True)
        call.waiter = future
        return call

    async def _finish(self, call: Call) -> Any:
        self._channel.check_usable()
        self._channel.enter_loop()
        try:
            while not self._has_room(call.parcel.nbytes):
                await self._wait_for_room(call)
            self._begin(call)
            self._pump()
            if not call.done:
                self._ensure_pump()
                await call.waiter
        except BaseException:
            self._abandon(call)
            self._ensure_pump()
            raise
        finally:
            for waiting in self._room:
                _finish(waiting)
        return call.value()

    async def _wait_for_room(self, call: Call) -> None:
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.add(room)
        left = None if call.deadline is None else max(0.0, call.deadline - time.monotonic())
        try:
            await asyncio.wait_for(room, left)
        except asyncio.TimeoutError:
            raise self._timeout_of(call) from None
        finally:
            self._room.discard(room)
        self._channel.check_open()

    def _ensure_pump(self) -> None:
        if not self._channel.closing and (self._pumping is None or self._pumping.done()):
            self._pumping = asyncio.get_running_loop().create_task(self._keep_pumping())

    async def _keep_pumping(self) -> None:
        """Sends and receives as long as something is outstanding, and what was given up has not been told."""
        idle_since = None
        try:
            while True:
                self._pump()
                now = time.monotonic()
                if self._calls.outstanding:
                    idle_since = None
                else:
                    idle_since = idle_since or now
                    if not self._calls.anything_to_send(now) or now - idle_since > _LAST_WORDS:
                        return
                need = Need.WRITABLE if self._blocked else Need.READABLE
                await self._channel.pause(need, self._calls.due(now, SLICE))
                if self._channel.closing:
                    return
                self._expire(time.monotonic())
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody is to wait for ever
            self._end_all(error)
        finally:
            self._pumping = None

    async def close(self) -> None:
        """As :meth:`nptransport.Client.close`."""
        pumping = self._pumping
        self._close_blocking()
        if pumping is not None and pumping is not asyncio.current_task():
            with contextlib.suppress(asyncio.CancelledError):
                await pumping

    def _close_blocking(self) -> None:
        channel = self._channel
        if channel.is_forked or channel.closing:
            return
        channel.closing = True
        if hasattr(self, "_calls"):
            with contextlib.suppress(RuntimeError):  # the loop that waited has been closed
                self._end_all()
                for waiting in self._room:
                    _finish(waiting)
        channel.close()
        self._stop_exchange(0)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


async def _iterate(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        source: Iterator[Any] = iter(items)
        for item in source:
            yield item


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
