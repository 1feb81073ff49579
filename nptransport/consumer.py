"""Consumer: takes the arrays that producers send."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from .errors import ConnectionClosed, DecodeError
from .limits import DEFAULT_LIMITS, Limits
from .patterns.consuming import MAX_MESSAGES, Consuming
from .protocol.message import Message
from .transport.addresses import Addresses
from .transport.channel import Channel
from .transport.curve import Curve

__all__ = ["Consumer"]


class Consumer(Consuming):
    """Receives what a :class:`Producer` sends; from several producers, in turn (ZeroMQ's PULL).

    Iterating gives payloads until the consumer is closed; messages that cannot be decoded are skipped, logged and
    counted in ``statistics().malformed``.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        max_messages: high-water mark: messages held for each producer before it has to wait. Choose few for large
            arrays: up to one more than this is held in memory for each producer.
        max_bytes: the same in bytes, where each message counts as the largest that ``limits`` accept: with
            Limits(max_total_bytes=8_000_000) and max_bytes=64_000_000, eight messages.
        limits: bounds on each message; one that exceeds them is refused.
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
        max_bytes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(Channel, bind, connect, max_messages, max_bytes, limits, context, security)

    def recv(self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None) -> Any:
        """The next payload. Its arrays are read-only, aligned, and valid for as long as they are referenced.

        Args:
            timeout: seconds to wait; None waits for ever, 0 not at all.
            copy: True: the arrays are the caller's own, and writable.
            out: copy the payload, an array of this shape and dtype, into this one, and return it.

        Raises:
            Timeout: nothing came in time.
            DecodeError: a malformed message came: it is gone and counted; or, with ``out``, the payload does not fit:
                it is kept for the next call, and not counted.
            TypeError: ``out`` is no array.
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: another thread is using it, or this is a forked child.
        """
        channel = self._channel
        channel.enter()
        try:
            return self._open(channel.receive(timeout) if not self._kept else None, copy, out)[0]
        finally:
            channel.leave()

    def recv_message(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Message:
        """As :meth:`recv`, with topic, sequence, time, source and size of the message."""
        channel = self._channel
        channel.enter()
        try:
            received = self._open(channel.receive(timeout) if not self._kept else None, copy, out)
        finally:
            channel.leave()
        return Message.of(*received)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                return self.recv()
            except DecodeError as error:
                self._skipped(error)
            except ConnectionClosed:
                raise StopIteration from None

    def close(self) -> int:
        """Close at once; producers send to other consumers, or wait for one.

        Returns:
            How many messages had come, at the least, that were not received, and are dropped: 0 as a rule. It is also
            reported as a warning in the log ``nptransport``, and stays in ``statistics().unread``. Of what lies in
            shared memory, the producer's ``close`` tells.
        """
        return self._close_blocking()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
