"""Proxy, with methods to await."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import zmq

from ..addresses import Addresses
from ..errors import Timeout
from ..limits import DEFAULT_LIMITS, Limits
from ..proxying import Proxying
from ..publishing import LINGER, MAX_BYTES, MAX_MESSAGES
from ..steps import LOOK
from .channel import go_on

__all__ = ["Proxy"]


class Proxy(Proxying):
    """:class:`nptransport.Proxy` for asyncio: the same arguments and errors.

    It works in a thread of its own, and goes on while the event loop is busy.
    """

    def __init__(
        self,
        *,
        frontend: Addresses = None,
        backend: Addresses = None,
        connect_frontend: Addresses = None,
        connect_backend: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        retain: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
    ) -> None:
        self._set_up(
            frontend,
            backend,
            connect_frontend,
            connect_backend,
            max_messages,
            max_bytes,
            retain,
            limits,
            linger,
            context,
        )

    async def serve(self) -> None:
        """Return once the proxy has been closed."""
        while not self._ended.is_set():
            await asyncio.sleep(LOOK)
        self._service.check()

    async def close(self, *, linger: float | None = None) -> int:
        """As :meth:`nptransport.Proxy.close`."""
        if not self._begin_to_close():
            return 0
        try:
            await go_on(self._backend, self._ending(), self._linger if linger is None else linger)
            return 0
        except Timeout as timeout:
            return self._report(str(timeout))
        finally:
            self._destroy()

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
