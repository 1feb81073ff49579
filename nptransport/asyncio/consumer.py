"""Consumer, with methods to await."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from ..errors import ConnectionClosed, DecodeError
from ..limits import DEFAULT_LIMITS, Limits
from ..patterns.consuming import MAX_MESSAGES, Consuming
from ..protocol.message import Message
from ..transport.addresses import Addresses
from ..transport.curve import Curve
from .channel import Channel

__all__ = ["Consumer"]


class Consumer(Consuming):
    """:class:`nptransport.Consumer` for asyncio: the same arguments and errors.

    Tasks of one event loop may share it.
    """

    _channel: Channel

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(Channel, bind, connect, max_messages, max_bytes, limits, context, security)

    async def recv(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Any:
        """As :meth:`nptransport.Consumer.recv`. If it is cancelled while it waits, no message is lost.

        Raises:
            Timeout: nothing came in time.
            DecodeError: a malformed message came: it is gone and counted; or, with ``out``, the payload does not fit:
                it is kept for the next call, and not counted.
            TypeError: ``out`` is no array.
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: it belongs to another event loop, or this is a forked child.
        """
        # Between the arrival of the first part and the return there is no await, and so no message to be lost.
        first = await self._channel.receive_soon(timeout) if not self._kept else None
        return self._open(first, copy, out)[0]

    async def recv_message(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Message:
        """As :meth:`nptransport.Consumer.recv_message`."""
        first = await self._channel.receive_soon(timeout) if not self._kept else None
        return Message.of(*self._open(first, copy, out))

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

    async def close(self) -> int:
        """As :meth:`nptransport.Consumer.close`."""
        if self._channel.is_forked:  # there even to leave the event loop would be felt by the parent
            return 0
        left = self._drop_unread()
        self._channel.destroy()
        self._close_blocking()
        return left

    async def __aenter__(self) -> Consumer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
