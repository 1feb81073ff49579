"""How a server waits that serves on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

from ..errors import MisuseError, Timeout
from ..patterns.handling import Answer
from ..patterns.methods import Method, set_current_call
from ..patterns.serving import RETRY, SLICE, Serving
from ..protocol.desk import Task
from ..protocol.failure import Failure
from ..transport.ending import read_linger
from ..transport.steps import LOOK, Need
from .channel import Channel

__all__ = ["AwaitingServing"]

_HEEDING = 1.0  # seconds at the most for handlers to heed that they are cancelled


class AwaitingServing(Serving):
    """A server on an event loop: coroutine functions run as tasks, others in threads."""

    _channel: Channel

    def _set_up_tasks(self) -> None:
        self._handling: set[asyncio.Task[None]] = set()
        self._serving: asyncio.Task[None] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._finishing = False

    def _check_method(self, method: Method) -> None:
        """Any function will do."""

    async def serve(self, *, timeout: float | None = None) -> None:
        """Answer calls until :meth:`close`; as :meth:`nptransport.Server.serve`.

        Coroutine functions run as tasks of this event loop, other functions in threads, up to ``threads`` of both. When
        it ends, even by being cancelled, it waits up to ``linger`` seconds for them to finish, and then cancels them.
        """
        self._channel.check_usable()
        if self._serving is not None:
            raise MisuseError(f"{self._channel}: is served already", expected="one serve()", found="two")
        self._channel.enter_loop()
        self._serving = asyncio.current_task()
        end = None if timeout is None else time.monotonic() + timeout
        try:
            self._begin_serving()
            while not self._stopping:
                left = SLICE if end is None else min(SLICE, end - time.monotonic())
                if left <= 0:
                    raise Timeout(self._channel.situation(f"still serving after {timeout:g} s"), seconds=timeout)
                await self._step(left)
                self._look()
        finally:
            try:
                await self._wind_up()
            finally:
                self._serving = None

    async def _step(self, left: float) -> None:
        self._tend()
        if self._answers:
            self._flush()
            left = min(left, RETRY)
        self._take_in()
        self._deal()
        await self._channel.pause(Need.READABLE if self._has_room() else Need.RELEASED, left)

    def _deal(self) -> None:
        while self._desk.begun < self._threads and (task := self._desk.next()) is not None:
            handling = asyncio.get_running_loop().create_task(self._work(task))
            self._handling.add(handling)
            handling.add_done_callback(self._handling.discard)

    async def _work(self, task: Task) -> None:
        try:
            self._answer(await self._handle_soon(task))
        except asyncio.CancelledError:
            text = "the server ended before the handler did"
            self._answer(self._fail(task, Failure("ConnectionClosed", text)))
            raise
        finally:
            self._channel.wake()  # there is a place for the next

    async def _handle_soon(self, task: Task) -> Answer:
        found = self._find(task)
        if isinstance(found, Failure):
            return self._fail(task, found)
        method, args, kwargs = found
        set_current_call(task)
        try:
            if method.is_async:
                result = await method.function(*args, **kwargs)
            else:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self._threads, "handler")
                context = contextvars.copy_context()
                result = await asyncio.get_running_loop().run_in_executor(
                    self._pool, lambda: context.run(method.function, *args, **kwargs)
                )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it was, the client hears of it
            return self._fail(task, Failure.of(error))
        return self._succeed(task, result)

    async def _wind_up(self) -> None:
        end = time.monotonic() + self._linger
        if self._stopping:
            self._begin_to_leave()
        while self._handling and time.monotonic() < end:
            self._tend()
            await asyncio.wait(self._handling, timeout=min(SLICE, max(0.0, end - time.monotonic())))
        for handling in self._handling:
            handling.cancel()
        if self._handling:
            await asyncio.wait(self._handling, timeout=_HEEDING)  # each hears of it, and says so to its client
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        if self._stopping:
            await self._finish_soon(max(0.0, end - time.monotonic()))

    async def _finish_soon(self, linger: float) -> None:
        deadline = time.monotonic() + linger
        if self._finishing:  # somebody else sees to it
            while not self._channel.closed and time.monotonic() < deadline:
                await asyncio.sleep(LOOK)
            return
        self._finishing = True
        self._drop_waiting()
        self._before_the_end()
        while self._answers and time.monotonic() < deadline:
            self._flush()
            await asyncio.sleep(LOOK)
        self._channel.closing = True
        try:
            if self._results or self._errors:
                await self._channel.conclude(self._channel.answering(), max(0.0, deadline - time.monotonic()))
        except Timeout as timeout:
            self._say_unsure(timeout)
        finally:
            self._say_untaken()
            self._shut()

    async def close(self, *, linger: float | None = None) -> None:
        """As :meth:`nptransport.Server.close`. Called by a handler, it only asks ``serve`` to end."""
        self._linger = read_linger(linger, self._linger)
        channel = self._channel
        if channel.is_forked or channel.closed:
            return
        self._stop()
        channel.wake()
        current = asyncio.current_task()
        if current is self._serving or current in self._handling:
            return
        deadline = time.monotonic() + self._linger + 2 * _HEEDING
        while self._serving is not None and time.monotonic() < deadline:
            await asyncio.sleep(LOOK)
        if not channel.closed:
            await self._finish_soon(0.0 if self._serving is not None else self._linger)

    def _close_blocking(self) -> None:
        channel = self._channel
        if channel.is_forked or channel.closed:
            return
        self._stop()
        with contextlib.suppress(RuntimeError):
            self._shut()
