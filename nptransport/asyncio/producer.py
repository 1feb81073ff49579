"""Producer, with methods to await."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import zmq

from ..errors import AuthenticationError, ConnectionClosed, Timeout
from ..limits import DEFAULT_LIMITS, Limits
from ..patterns.producing import LINGER, MAX_BYTES, MAX_MESSAGES, Producing
from ..protocol.handle import FREE, SendHandle
from ..shm.layout import Lending
from ..transport.addresses import Addresses
from ..transport.curve import Curve
from ..transport.ending import read_linger
from .channel import Channel

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Producer"]


class Producer(Producing):
    """:class:`nptransport.Producer` for asyncio: the same arguments and errors.

    Tasks of one event loop may share it.
    """

    _channel: Channel

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(Channel, bind, connect, max_messages, max_bytes, limits, linger, context, security)

    @overload
    async def send(self, payload: Any, *, timeout: float | None = None, copy: Literal[True] = True) -> None: ...

    @overload
    async def send(self, payload: Any, *, timeout: float | None = None, copy: Literal[False]) -> SendHandle: ...

    @overload
    async def send(self, payload: Any, *, timeout: float | None = None, copy: bool) -> SendHandle | None: ...

    async def send(self, payload: Any, *, timeout: float | None = None, copy: bool = True) -> SendHandle | None:
        """As :meth:`nptransport.Producer.send`. If it is cancelled while it waits, it has sent nothing."""
        channel = self._channel
        if channel.has_turn() and self._send_like_before(payload):
            channel.wake()
            return None if copy else FREE
        return await channel.drive(self._sending(payload, copy), timeout)

    def loan(
        self,
        shape: int | Sequence[int],
        dtype: DTypeLike = float,
        *,
        order: Literal["C", "F"] = "C",
        timeout: float | None = None,
    ) -> Loan:
        """As :meth:`nptransport.Producer.loan`, for ``async with``."""
        return Loan(self, shape, dtype, order, timeout)

    async def flush(self, *, timeout: float | None = None) -> None:
        """As :meth:`nptransport.Producer.flush`."""
        await self._channel.drive(self._flushing(), timeout)

    async def close(self, *, linger: float | None = None) -> int:
        """As :meth:`nptransport.Producer.close`."""
        linger = read_linger(linger, self._linger)
        if self._channel.closing or self._channel.is_forked:
            return 0
        try:
            await self._channel.finish_soon(self._ending(), linger)
            left = self._report_refused()
        except (Timeout, AuthenticationError, ConnectionClosed) as error:
            left = self._report_error(error)
        finally:
            self._channel.destroy()
            unfetched = self._stop_lending(linger)
        return max(left, unfetched)

    async def __aenter__(self) -> Producer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Loan(Lending[Producer]):
    """A block in which a message is written into the memory that it is sent from."""

    async def __aenter__(self) -> np.ndarray[Any, Any]:
        producer = self._endpoint
        array = producer._lend_now(self) if producer._channel.has_turn() else None
        if array is None:
            array = await producer._channel.drive(producer._lending(self), self._timeout)
        return array

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        producer = self._endpoint
        if kind is not None:
            producer._take_back(self)
            return
        try:
            array = self.end()
            if producer._channel.has_turn() and producer._send_lent_now(self, array):
                producer._channel.wake()
            else:
                await producer._channel.drive(producer._sending_lent(self, array), self._timeout)
        except BaseException:
            producer._take_back(self)
            raise
