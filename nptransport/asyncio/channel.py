"""The channel of the asyncio faces: the same steps, and another way to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ConnectionClosed, MisuseError, TransportError
from ..transport import channel
from ..transport.steps import LOOK, MOMENT, PATIENCE, Deadline, Need, Steps

__all__ = ["Channel", "go_on"]

T = TypeVar("T")

_LOOK = 0.1  # seconds after which a task that waits looks who refuses it, which nothing announces

# Operations that need not wait, after which the other tasks have their turn.
_TURN = 64


class Channel(channel.Channel):
    """A channel whose waiting leaves the event loop to others. Tasks of one loop may share it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._at: int | None = None  # the socket's descriptor, which the loop watches
        self._waiting: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None  # of all that wait for no less: one for each message costs more
        self._operations = 0
        self._watched: set[int] = set()
        self._ran_dry = False
        super().__init__(*args, **options)

    async def drive(self, steps: Steps[T], timeout: float | None) -> T:
        """The result of ``steps``, or Timeout after ``timeout`` seconds (None: no end) of waiting.

        Cancelled while it waits, it has not taken anything: no message is lost.
        """
        self.check_open()
        return await self._drive(steps, timeout)

    def has_turn(self) -> bool:
        """Whether something may be done without an ``await``: not each time, so that others run, too."""
        self.check_open()
        self._enter_loop()
        if (self._operations + 1) % _TURN == 0:
            return False
        self._operations += 1
        return True

    async def finish_soon(self, steps: Steps[T], timeout: float) -> T:
        """As :meth:`drive`, for the last ``steps``: every other use ends with ConnectionClosed from now on."""
        self.check_open()
        self.closing = True
        return await self._drive(steps, timeout)

    async def _drive(self, steps: Steps[T], timeout: float | None) -> T:
        ending = self.closing
        self._enter_loop()
        self._operations += 1
        if self._operations % _TURN == 0:
            await asyncio.sleep(0)
        deadline = None
        try:
            while True:
                if self.closed or not ending:
                    self.check_open()
                try:
                    need = next(steps)
                except StopIteration as stop:
                    return stop.value
                if deadline is None:
                    deadline = Deadline(timeout, self.situation)
                brief = need in (Need.WARM, Need.FETCHED)
                await self._sleep(need, deadline.at_most(PATIENCE) if brief else deadline.left(need))
                if not brief:
                    self.look()
        finally:
            self._wake()  # the socket tells of a change once: what this task did not use is for the others

    async def receive_soon(self, timeout: float | None) -> bytes:
        """First part of the next message, waited for; Timeout after ``timeout`` seconds (None: no end)."""
        deadline = Deadline(timeout, self.situation)
        while (first := await self.receive_or_give_up(timeout)) is None:
            timeout = deadline.left(Need.READABLE)
        return first

    async def receive_or_give_up(self, most: float | None) -> bytes | None:
        """First part of the next message if it comes within ``most`` seconds (None: no end), or if something else seems
        to have happened; else None. Cancelled while it waits, it has not taken any message."""
        self.check_usable()
        self._enter_loop()
        self._operations += 1
        if self._operations % _TURN == 0:
            await asyncio.sleep(0)
            self.check_open()
        try:
            # Who had to wait for the last message probably has to for this one: a look is cheaper than a try in vain.
            dry = self._ran_dry and not self.has_lanes and not self.readable()
            first = None if dry else self.try_receive()
            self._ran_dry = first is None
            if first is None and (most is None or most > 0):
                await self._sleep(Need.READABLE, most)
                self.check_open()
                first = self.try_receive()
            if first is None:
                self.look()
            return first
        finally:
            if self._waiting:
                self._wake()  # the socket tells of a change once: what this task did not use is for the others

    async def pause(self, need: Need, most: float) -> None:
        """Return once ``need`` may be met or ``most`` seconds have passed; now and then only to let others run."""
        self._operations += 1
        if need is Need.READABLE and self.readable():  # what happened has been told already, and will not be again
            await asyncio.sleep(0)
            return
        await self._sleep(need, most)

    async def conclude(self, steps: Steps[T], timeout: float) -> T:
        """As :meth:`finish_soon`, where ``closing`` is set already."""
        return await self._drive(steps, timeout)

    def enter_loop(self) -> None:
        """Belong to the running event loop; MisuseError if it is another one's."""
        self._enter_loop()

    def wake(self) -> None:
        """Have the tasks that wait look again."""
        self._wake()

    async def _sleep(self, need: Need, left: float | None) -> None:
        if need is Need.FETCHED:
            await asyncio.sleep(MOMENT)
            return
        if need is Need.SETTLED:
            await asyncio.sleep(LOOK)  # nothing announces that a kernel's buffer has drained
            return
        most = LOOK if need is Need.RELEASED else _LOOK
        left = most if left is None else min(left, most)
        loop = asyncio.get_running_loop()
        if need is Need.RELEASED and self.returns is not None:
            self._watch(self.returns)
        if need is Need.READABLE and self.lanes is not None:
            for descriptor in self.lanes.descriptors():
                self._watch(descriptor)
        woken: asyncio.Future[None] = loop.create_future()
        self._waiting.add(woken)
        timer = loop.call_later(left, _finish, woken) if left < _LOOK else None
        if timer is None and self._timer is None:
            self._timer = loop.call_later(_LOOK, self._on_time)
        try:
            if need in (Need.RELEASED, Need.WARM) and self._released.is_set():
                self._released.clear()
            else:
                await woken
        finally:
            self._waiting.discard(woken)
            if timer is not None:
                timer.cancel()

    def _enter_loop(self) -> None:
        if self.is_forked:
            self.refuse_fork()
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise MisuseError(
                f"{self}: belongs to another event loop; make one endpoint for each loop",
                expected="the event loop that used it first",
                found="another one",
            )
        self._loop, self._timer = loop, None
        try:
            watched = self.descriptor
            loop.add_reader(watched, self._on_event)
            self._at = watched
        except NotImplementedError:
            raise TransportError(
                "this event loop cannot watch sockets; on Windows use "
                "asyncio.run(main(), loop_factory=asyncio.SelectorEventLoop)"
            ) from None

    def _on_event(self) -> None:
        try:
            self.events()  # takes in what happened, which also silences the descriptor until there is more
        except ConnectionClosed:  # and nothing silences it again; who waits is told
            self._stop_watching()
        self._wake()

    def _stop_watching(self) -> None:
        if self._at is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._at)
        self._at = None

    def _watch(self, descriptor: int) -> None:
        """Wake who waits when there is something to read from ``descriptor``, once."""
        assert self._loop is not None
        if descriptor not in self._watched:
            self._watched.add(descriptor)
            self._loop.add_reader(descriptor, self._on_readable, descriptor)

    def _on_readable(self, descriptor: int) -> None:
        self._unwatch(descriptor)  # until somebody waits again
        self._wake()

    def _on_time(self) -> None:
        self._timer = None  # until somebody waits again
        self._wake()

    def _unwatch(self, descriptor: int) -> None:
        if descriptor in self._watched:
            self._watched.discard(descriptor)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(descriptor)

    def _wake(self) -> None:
        for woken in self._waiting:
            _finish(woken)

    def on_release(self) -> None:
        super().on_release()
        if self._waiting and self._loop is not None and not self._loop.is_closed():
            self._call_soon(self._wake)

    def _call_soon(self, callback: Callable[[], None]) -> None:
        try:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            pass  # the loop was closed this moment, and its tasks with it

    def destroy(self) -> None:
        self._stop_watching()
        for descriptor in list(self._watched):
            self._unwatch(descriptor)
        if self._timer is not None and self._loop is not None and not self._loop.is_closed():
            self._timer.cancel()
        super().destroy()
        self._wake()


async def go_on(channel: channel.Channel, steps: Steps[T], timeout: float | None) -> T:
    """As ``channel.go_on``, for a channel that is not watched by any event loop: it is looked at from time to time."""
    deadline = Deadline(timeout, channel.situation)
    while True:
        try:
            need = next(steps)
        except StopIteration as stop:
            return stop.value
        left = deadline.left(need)
        channel.check_welcome()
        await asyncio.sleep(LOOK if left is None else min(left, LOOK))


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
