"""Publisher, with methods to await."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..errors import Timeout
from ..patterns.publishing import Publishing
from ..protocol.handle import SendHandle
from ..shm.layout import Lending
from .channel import go_on
from .closing import close_soon

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Publisher"]

_TURN = 64  # messages after which the other tasks have their turn


class Publisher(Publishing):
    """:class:`nptransport.Publisher` for asyncio: the same arguments and errors.

    Tasks, event loops and threads may share it.
    """

    _sent = 0

    @overload
    async def send(self, payload: Any, *, topic: str = "", copy: Literal[True] = True) -> None: ...

    @overload
    async def send(self, payload: Any, *, topic: str = "", copy: Literal[False]) -> SendHandle: ...

    @overload
    async def send(self, payload: Any, *, topic: str = "", copy: bool) -> SendHandle | None: ...

    async def send(self, payload: Any, *, topic: str = "", copy: bool = True) -> SendHandle | None:
        """As :meth:`nptransport.Publisher.send`. It never waits; now and then it lets other tasks run."""
        self._sent += 1
        if self._sent % _TURN == 0:
            await asyncio.sleep(0)
        return self._publish(payload, topic, copy)

    def loan(
        self, shape: int | Sequence[int], dtype: DTypeLike = float, *, topic: str = "", order: Literal["C", "F"] = "C"
    ) -> Loan:
        """As :meth:`nptransport.Publisher.loan`, for ``async with``."""
        return Loan(self, shape, dtype, order, None, topic)

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
        return await close_soon(self, linger)

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Loan(Lending[Publisher]):
    """A block in which a message is written into the memory that it is sent from."""

    async def __aenter__(self) -> np.ndarray[Any, Any]:
        return self._endpoint._lend(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._endpoint._publish_lent(self)
        else:
            self._endpoint._take_back(self)
