"""Proxy, with methods to await."""

from __future__ import annotations

from types import TracebackType

from ..patterns.proxying import Proxying
from .closing import close_soon, wait_until_ended

__all__ = ["Proxy"]


class Proxy(Proxying):
    """:class:`nptransport.Proxy` for asyncio: the same arguments and errors.

    It works in a thread of its own, and goes on while the event loop is busy.
    """

    async def serve(self, *, timeout: float | None = None) -> None:
        """As :meth:`nptransport.Proxy.serve`."""
        self._channel.check_not_forked()
        await wait_until_ended(self._ended, self._backend, timeout)
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
