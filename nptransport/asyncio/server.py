"""Server, with methods to await, and for functions that await."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import zmq

from ..limits import DEFAULT_LIMITS, Limits
from ..patterns.methods import Methods
from ..patterns.serving import LINGER, MAX_BYTES, MAX_MESSAGES
from ..transport.addresses import Addresses
from ..transport.curve import Curve
from .channel import Channel
from .serving import AwaitingServing

__all__ = ["Server"]


class Server(AwaitingServing):
    """:class:`nptransport.Server` for asyncio: the same arguments and errors, and coroutine functions as handlers.

    ``threads`` bounds the calls that are handled at once, as tasks or in threads. Its default is 16 here.
    """

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        threads: int = 16,
        methods: Methods | None = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(
            Channel, bind, connect, threads, methods, max_messages, max_bytes, limits, linger, context, security
        )
        self._set_up_tasks()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
