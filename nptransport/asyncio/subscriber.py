"""Subscriber, with methods to await."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from ..errors import ConnectionClosed, DecodeError
from ..limits import DEFAULT_LIMITS, Limits
from ..patterns.latest import Latest
from ..patterns.receiving import Received
from ..patterns.subscribing import MAX_MESSAGES, WATCH, Subscribing
from ..protocol.message import Message
from ..transport.addresses import Addresses
from ..transport.curve import Curve
from ..transport.steps import Deadline, Need
from .channel import Channel

__all__ = ["Subscriber"]


class Subscriber(Subscribing):
    """:class:`nptransport.Subscriber` for asyncio: the same arguments and errors.

    Tasks of one event loop may share it.
    """

    _channel: Channel

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        topics: str | Iterable[str] = "",
        latest: bool = False,
        max_age: float | None = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(
            Channel, bind, connect, topics, latest, max_age, max_messages, max_bytes, limits, context, security
        )

    async def recv(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Any:
        """As :meth:`nptransport.Subscriber.recv`. If it is cancelled while it waits, no message is lost.

        Raises:
            Timeout: nothing came in time.
            DecodeError: a malformed message came: it is gone and counted; or, with ``out``, the payload does not fit:
                it is kept for the next call, and not counted.
            TypeError: ``out`` is no array.
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: it belongs to another event loop, or this is a forked child.
        """
        return (await self._wait(timeout, copy, out))[0]

    async def recv_message(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Message:
        """As :meth:`nptransport.Subscriber.recv_message`."""
        return Message.of(*await self._wait(timeout, copy, out))

    # Between the arrival of a message and the return there is no await, and so no message to be lost.

    async def _wait(self, timeout: float | None, copy: bool, out: np.ndarray[Any, Any] | None) -> Received:
        if self._latest is not None:
            return await self._wait_for_latest(self._latest, timeout, copy, out)
        channel = self._channel
        deadline = None if timeout is None else Deadline(timeout, channel.situation)
        received = None if self._kept is None else self._take_kept(copy, out)
        while received is None:
            first = await channel.receive_or_give_up(WATCH if timeout is None else min(WATCH, timeout))
            if first is None:
                self._watch()
            else:
                received = self._receive(first, copy, out)
            if received is None and deadline is not None:
                timeout = deadline.left(Need.READABLE)
        return received

    async def _wait_for_latest(
        self, latest: Latest, timeout: float | None, copy: bool, out: np.ndarray[Any, Any] | None
    ) -> Received:
        self._channel.check_usable()
        deadline = Deadline(timeout, self._channel.situation)
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def listener() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, and its tasks with it
                loop.call_soon_threadsafe(changed.set)

        latest.listen(listener, True)
        try:
            while True:
                changed.clear()
                received = self._take_kept(copy, out) or latest.try_take(copy, out)
                if received is not None:
                    return received
                self._channel.check_open()
                self._channel.check_welcome()
                left = deadline.left(Need.READABLE)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), WATCH if left is None else min(WATCH, left))
        finally:
            latest.listen(listener, False)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                return await self.recv()
            except DecodeError as error:
                self._skipped(error)
            except ConnectionClosed:
                raise StopAsyncIteration from None

    async def close(self) -> None:
        """As :meth:`nptransport.Subscriber.close`."""
        self._close_blocking()

    async def __aenter__(self) -> Subscriber:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
