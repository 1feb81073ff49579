"""Broker, with methods to await."""

from __future__ import annotations

import contextlib
from types import TracebackType

from ..errors import Timeout
from ..patterns.brokering import Brokering
from ..transport.ending import read_linger
from .channel import go_on
from .closing import wait_until_ended

__all__ = ["Broker"]


class Broker(Brokering):
    """:class:`nptransport.Broker` for asyncio: the same arguments and errors.

    It works in a thread of its own, and goes on while the event loop is busy.
    """

    async def serve(self, *, timeout: float | None = None) -> None:
        """As :meth:`nptransport.Broker.serve`."""
        self._clients.channel.check_not_forked()
        await wait_until_ended(self._ended, self._clients.channel, timeout)
        self._service.check()

    async def close(self, *, linger: float | None = None) -> int:
        """As :meth:`nptransport.Broker.close`."""
        linger = read_linger(linger, self._linger)
        if not self._begin_to_close():
            return 0
        with contextlib.suppress(Timeout):
            await go_on(self._clients.channel, self._ending(), linger)
        return self._destroy()

    async def __aenter__(self) -> Broker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
