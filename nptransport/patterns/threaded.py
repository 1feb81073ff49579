"""How a server waits whose handlers run in threads."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from ..codec.plan import Plan
from ..errors import DecodeError, Timeout
from ..protocol.desk import Task
from ..protocol.failure import Failure
from ..protocol.words import Form
from ..transport.ending import read_linger
from ..transport.waking import Waker
from .handling import Answer
from .methods import Method
from .receiving import SMALL
from .serving import RETRY, SLICE, Serving

__all__ = ["ThreadedServing"]

_REMEMBERED = 256
_QUICK = 0.001  # seconds: a handler that takes longer may keep others waiting


class ThreadedServing(Serving):
    """A server whose handlers run in threads, and the thread that serves them: what a server and a worker share."""

    def _set_up_threads(self) -> None:
        self._inline = False
        self._handlers: set[int] = set()  # threads
        self._known_calls: dict[tuple[bytes, bytes], tuple[Method, Plan, int]] = {}  # by their beginning and metadata
        self._finishing = threading.Lock()
        self._ended = threading.Event()
        self._ended.set()
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._waker = Waker()

    def serve(self, *, timeout: float | None = None) -> None:
        """Answer calls in this thread until :meth:`close` is called, by a handler, another thread or a signal handler.

        However it ends, it waits up to ``linger`` seconds for handlers that run, and answers their calls.

        Raises:
            Timeout: ``timeout`` seconds (None: no end) have passed. It can be called again.
            AuthenticationError: every address that it connects to refuses it. Called again, it tries again.
            ConnectionClosed: it has been closed.
            MisuseError: another thread is using it, or this is a forked child.
        """
        self._channel.enter()
        self._server = threading.get_ident()
        self._ended.clear()
        try:
            self._begin_serving()
            if not self._inline:
                self._start_handlers()
            self._loop(None if timeout is None else time.monotonic() + timeout)
            if not self._stopping:
                raise Timeout(self._channel.situation(f"still serving after {timeout:g} s"), seconds=timeout)
        finally:
            try:
                self._wind_up()
            finally:
                self._server = None
                self._channel.leave()
                self._ended.set()

    def _start_handlers(self) -> None:
        # Each time a queue of their own: one of the last time may be working still, and has its word to end in the old.
        self._tasks = queue.SimpleQueue()
        name = f"handler at {self._channel}"
        for _ in range(self._threads):
            threading.Thread(target=self._work, args=(self._tasks,), name=name, daemon=True).start()

    def _loop(self, end: float | None) -> None:
        while not self._stopping:
            left = SLICE if end is None else min(SLICE, end - time.monotonic())
            if left <= 0:
                return
            self._step(left)
            self._look()

    def _step(self, left: float) -> None:
        """Do what there is to do; wait up to ``left`` seconds where that is nothing."""
        self._tend()
        if self._answers:
            self._flush()
            left = min(left, RETRY)
        if self._inline:
            self._step_inline(left)
        else:
            self._take_in()
            self._deal()
            if self._collect_finished() == 0:
                self._channel.await_event(self._waker.descriptor, left, message=self._has_room())
                self._waker.heed()

    def _step_inline(self, left: float) -> None:
        if self._desk.waiting:
            task = self._desk.next()
            if task is not None:
                self._answer(self._handle(task))
        elif self._has_room():
            first = self._channel.receive_eagerly(left)
            if first is None:
                return
            begun = time.monotonic()
            self._serve_at_once(first)
            if time.monotonic() - begun < _QUICK:
                return
        else:
            self._channel.await_event(self._waker.descriptor, left, message=False)
        if self._channel.readable():
            self._take_in()  # what has come meanwhile, so that what was given up is not begun

    def _serve_at_once(self, first: bytes) -> None:
        """Handle and answer the message whose first part is here, if it is a call.

        Calls of one method with one small array each are taken in by the same steps if they differ in number and
        content only; so what came of those is kept, and the next goes a shorter way.
        """
        channel = self._channel
        head, metadata = channel.take_one(), channel.take_one()
        likeness = head[:-8], metadata
        known = self._known_calls.get(likeness)
        if known is None:
            task = self._heed(first, head, metadata)
            if task is None:
                return
            self._desk.begin(task)
            self._learn(likeness, task)
            answer = self._handle(task)
        else:
            method, plan, attempt = known
            parts: list[Any] = [channel.take_one()]
            if channel.more:
                parts += channel.take(0, True)
            number = int.from_bytes(head[-8:], "big")
            task = Task(first, first, number, attempt, method.name, Form.ONE, None, 0)  # nowhere does it wait
            self._desk.begin(task)
            try:
                arguments = (plan.payload(parts),)
            except DecodeError as error:
                answer = self._fail(task, Failure("DecodeError", str(error)))
            else:
                answer = self._call(task, method, arguments, {})
        self._answer(answer)

    def _learn(self, likeness: tuple[bytes, bytes], task: Task) -> None:
        start, metadata = likeness
        plan, method = self._decoder.known_bare(metadata), self._methods.find(task.method)
        if plan is None or plan.alone is None or plan.nbytes > SMALL or not self._reader.knows(start):
            return
        if task.form == Form.ONE and method is not None and method.takes_one:
            if len(self._known_calls) >= _REMEMBERED:
                self._known_calls.clear()
            self._known_calls[likeness] = method, plan, task.attempt

    def _deal(self) -> None:
        """Give the threads what they have time for."""
        while self._desk.begun < self._threads and (task := self._desk.next()) is not None:
            self._tasks.put(task)

    def _collect_finished(self) -> int:
        count = 0
        while not self._finished.empty():
            self._answer(self._finished.get())
            count += 1
        return count

    def _work(self, tasks: queue.SimpleQueue[Task | None]) -> None:
        self._handlers.add(threading.get_ident())
        while (task := tasks.get()) is not None:
            self._finished.put(self._handle(task))
            self._waker.wake()
        self._handlers.discard(threading.get_ident())

    def _wind_up(self) -> None:
        deadline = time.monotonic() + self._linger
        if self._stopping:
            self._begin_to_leave()
        for _ in range(0 if self._inline else self._threads):
            self._tasks.put(None)
        while self._desk.begun and time.monotonic() < deadline:
            if not self._collect_finished():
                self._tend()
                self._channel.await_event(self._waker.descriptor, RETRY, message=False)
        if self._stopping:
            self._drop_waiting()
            self._before_the_end()
            self._finish(max(0.0, deadline - time.monotonic()))

    def close(self, *, linger: float | None = None) -> None:
        """Wait up to ``linger`` seconds for handlers that run, and for their answers to arrive, then close.

        Calls that have not begun are left to their clients, which send them again when a server is back. Called in the
        thread that serves, as by a handler or a signal handler, it only asks ``serve`` to end.
        """
        self._linger = read_linger(linger, self._linger)
        self._close_blocking()

    def _close_blocking(self) -> None:
        channel = self._channel
        if channel.is_forked or channel.closed:
            return
        self._stop()
        if not hasattr(self, "_waker"):
            self._shut()
            return
        self._waker.wake()
        if threading.get_ident() in (self._server, *self._handlers):
            return  # it cannot wait for itself
        self._ended.wait(min(self._linger + 2 * SLICE, threading.TIMEOUT_MAX))
        if self._ended.is_set():
            with self._finishing:
                if not channel.closed:
                    self._collect_finished()  # those that serve() did not wait for any more when it ended
                    self._drop_waiting()
                    self._before_the_end()
                    self._finish(self._linger)
        else:
            self._shut()  # a handler does not end; its thread, and that which serves, find out
