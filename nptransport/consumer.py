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
        max_messages: high-water mark: messages held for each producer before it is held up. Choose few for large
            arrays: up to one more than this is held in memory for each producer.
        max_bytes: the same in bytes, for the largest messages that ``limits`` accept: with
            Limits(max_total_bytes=8_000_000) and max_bytes=64_000_000, eight messages.
        limits: what is accepted of one message.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve`: who may take part, and nobody listens.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` cannot be had.
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
            copy: give arrays of the caller's own, that may be written to.
            out: receive into this array, and return it. A payload that does not fit is kept for the next call.

        Raises:
            Timeout: nothing came in time.
            DecodeError: a malformed message came. It is gone and counted; the next call goes on behind it.
            ConnectionClosed, MisuseError: the consumer cannot be used any more, or not here.
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
        """As :meth:`recv`, with what came along: topic, sequence, time, source, size."""
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

    def close(self) -> None:
        """Close at once; what has not been received is dropped, and producers that bind or connect go on without."""
        self._close_blocking()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
