"""Proxy, with methods to await."""

from __future__ import annotations

import asyncio
from types import TracebackType

from ..patterns.proxying import Proxying
from ..transport.steps import LOOK
from .closing import close_soon

__all__ = ["Proxy"]


class Proxy(Proxying):
    """:class:`nptransport.Proxy` for asyncio: the same arguments and errors.

    It works in a thread of its own, and goes on while the event loop is busy.
    """

    async def serve(self) -> None:
        """Return once the proxy has been closed."""
        while not self._ended.is_set():
            await asyncio.sleep(LOOK)
        self._service.check()

    async def close(self, *, linger: float | None = None) -> int:
        """As :meth:`nptransport.Proxy.close`."""
        return await close_soon(self, linger)

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
