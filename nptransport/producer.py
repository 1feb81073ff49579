"""Producer: arrays to one consumer, or dealt out to several."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import zmq

from .limits import DEFAULT_LIMITS, Limits
from .patterns.producing import LINGER, MAX_BYTES, MAX_MESSAGES, Producing
from .protocol.handle import FREE, SendHandle
from .shm.layout import Lending
from .transport.addresses import Addresses
from .transport.channel import Channel
from .transport.curve import Curve
from .transport.ending import read_linger

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Producer"]


class Producer(Producing):
    """Sends payloads to a :class:`Consumer`; several consumers get them in turn (ZeroMQ's PUSH).

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        max_messages: high-water mark: messages that wait for one consumer before ``send`` blocks.
        max_bytes: bytes that wait, all consumers together, before ``send`` blocks; a larger array travels alone.
            Over shm://, shared memory that messages take until the last reader has let go of them; one of any size
            fits beside one that a reader holds.
        limits: bounds on each message; those of the consumers, or stricter.
        linger: seconds that ``close`` waits for the consumers to read what was sent.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
    """

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
    def send(self, payload: Any, *, timeout: float | None = None, copy: Literal[True] = True) -> None: ...

    @overload
    def send(self, payload: Any, *, timeout: float | None = None, copy: Literal[False]) -> SendHandle: ...

    @overload
    def send(self, payload: Any, *, timeout: float | None = None, copy: bool) -> SendHandle | None: ...

    def send(self, payload: Any, *, timeout: float | None = None, copy: bool = True) -> SendHandle | None:
        """Send ``payload``: an array, or whatever :func:`encode` takes.

        Args:
            timeout: seconds to wait for room; None waits for ever, 0 not at all.
            copy: True: on return the arrays may be changed. False: large ones are not copied: leave them unchanged
                until the handle that is returned is ``done``.

        Raises:
            EncodeError: something in it cannot travel. Nothing has been sent.
            Timeout: no consumer had room in time. Nothing has been sent.
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: another thread is using it, or this is a forked child.
            TransportError: the system has no memory left for it, or no descriptor.
        """
        if self._send_like_before(payload):
            return None if copy else FREE
        return self._channel.run(self._sending(payload, copy), timeout)

    def loan(
        self,
        shape: int | Sequence[int],
        dtype: DTypeLike = float,
        *,
        order: Literal["C", "F"] = "C",
        timeout: float | None = None,
    ) -> Loan:
        """Memory to write the next message into: no copy at all over shm://, one from a reused buffer elsewhere.

        ``with producer.loan((1080, 1920, 3), "u1") as frame:`` gives an uninitialized array, and sends it at the
        end of the block; an exception in the block sends nothing. Keep no reference to it: from then on the memory is
        the consumer's, and later another message's.

        Args:
            shape, dtype, order: of the array, as for numpy.empty.
            timeout: seconds to wait for memory, and again to send; None waits for ever, 0 not at all.

        Raises:
            EncodeError: no array of this dtype or size can be lent.
            Timeout: on entry: all memory is in use. At the end of the block: no consumer had room. Nothing is sent.
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: another thread is using it, or this is a forked child.
            TransportError: the system has no memory left for it, or no descriptor.
        """
        return Loan(self, shape, dtype, order, timeout)

    def flush(self, *, timeout: float | None = None) -> None:
        """Return once everything sent has left this process, and the buffers of its operating system.

        Raises:
            Timeout: it has not within ``timeout`` seconds (None: no end).
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: another thread is using it, or this is a forked child.
        """
        self._channel.run(self._flushing(), timeout)

    def close(self, *, linger: float | None = None) -> int:
        """Wait up to ``linger`` seconds for the consumers to take in all that was sent, then close.

        Returns:
            0 if they have it all, in their queues at the least; else a lower bound of the number of messages that are
            not known to have arrived. It is also reported as a warning in the log ``nptransport``. Over shm:// it does
            not wait for messages that no consumer has fetched yet, and counts them: they are kept, for ``linger``
            seconds beyond the end of the program, and reported only if nobody comes for them.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Loan(Lending[Producer]):
    """A block in which a message is written into the memory that it is sent from."""

    def __enter__(self) -> np.ndarray[Any, Any]:
        producer = self._endpoint
        array = producer._lend_now(self)
        if array is None:
            array = producer._channel.run(producer._lending(self), self._timeout)
        return array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        producer = self._endpoint
        if kind is not None:
            producer._take_back(self)
            return
        try:
            array = self.end()
            if not producer._send_lent_now(self, array):
                producer._channel.run(producer._sending_lent(self, array), self._timeout)
        except BaseException:
            producer._take_back(self)
            raise
