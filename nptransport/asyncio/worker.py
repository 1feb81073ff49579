"""Worker, with methods to await, and for functions that await."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import zmq

from ..limits import DEFAULT_LIMITS, Limits
from ..patterns.methods import Methods
from ..patterns.serving import LINGER, MAX_BYTES, MAX_MESSAGES
from ..patterns.working import INTERVAL, Working
from ..transport.addresses import Addresses
from ..transport.curve import Curve
from .channel import Channel
from .serving import AwaitingServing

__all__ = ["Worker"]


class Worker(Working, AwaitingServing):
    """:class:`nptransport.Worker` for asyncio: the same arguments and errors, and coroutine functions as handlers."""

    def __init__(
        self,
        *,
        connect: Addresses = None,
        slots: int = 1,
        methods: Methods | None = None,
        name: str | None = None,
        interval: float = INTERVAL,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._introduce(name, interval, limits)
        self._set_up(Channel, None, connect, slots, methods, MAX_MESSAGES, max_bytes, limits, linger, context, security)
        self._set_up_tasks()

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
