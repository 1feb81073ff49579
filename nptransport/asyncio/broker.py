"""Broker, with methods to await."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

from ..errors import Timeout
from ..patterns.brokering import Brokering
from ..transport.steps import LOOK
from .channel import go_on

__all__ = ["Broker"]


class Broker(Brokering):
    """:class:`nptransport.Broker` for asyncio: the same arguments and errors.

    It works in a thread of its own, and goes on while the event loop is busy.
    """

    async def serve(self) -> None:
        """Return once the broker has been closed."""
        while not self._ended.is_set():
            await asyncio.sleep(LOOK)
        self._service.check()

    async def close(self, *, linger: float | None = None) -> int:
        """As :meth:`nptransport.Broker.close`."""
        if not self._begin_to_close():
            return 0
        with contextlib.suppress(Timeout):
            await go_on(self._clients.channel, self._ending(), self._linger if linger is None else linger)
        return self._destroy()

    async def __aenter__(self) -> Broker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
