"""Publisher, with methods to await."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Literal, overload

import zmq

from ..addresses import Addresses
from ..channel import Channel
from ..errors import Timeout
from ..limits import DEFAULT_LIMITS, Limits
from ..protocol.handle import SendHandle
from ..publishing import LINGER, MAX_BYTES, MAX_MESSAGES, Publishing
from .channel import go_on

__all__ = ["Publisher"]

_TURN = 64  # messages after which the other tasks have their turn


class Publisher(Publishing):
    """:class:`nptransport.Publisher` for asyncio: the same arguments and errors.

    Tasks, event loops and threads may share it.
    """

    _sent = 0

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        retain: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
    ) -> None:
        self._set_up(Channel, bind, connect, max_messages, max_bytes, retain, limits, linger, context)

    @overload
    async def send(self, payload: Any, *, topic: str = "", copy: Literal[True] = True) -> None: ...

    @overload
    async def send(self, payload: Any, *, topic: str = "", copy: Literal[False]) -> SendHandle: ...

    async def send(self, payload: Any, *, topic: str = "", copy: bool = True) -> SendHandle | None:
        """As :meth:`nptransport.Publisher.send`. It never waits; now and then it lets other tasks have their turn."""
        self._sent += 1
        if self._sent % _TURN == 0:
            await asyncio.sleep(0)
        return self._publish(payload, topic, copy)

    async def wait_for_subscribers(
        self, count: int = 1, *, topic: str | None = None, timeout: float | None = None
    ) -> None:
        """As :meth:`nptransport.Publisher.wait_for_subscribers`."""
        try:
            await go_on(self._channel, self._waiting_for_subscribers(count, topic), timeout)
        except Timeout as error:
            raise self._too_few(count, topic, error) from None

    async def close(self, *, linger: float | None = None) -> int:
        """As :meth:`nptransport.Publisher.close`."""
        if not self._begin_to_close():
            return 0
        try:
            await go_on(self._channel, self._ending(), self._linger if linger is None else linger)
            return 0
        except Timeout as timeout:
            return self._report(str(timeout))
        finally:
            self._channel.destroy()

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
