"""Subscriber: takes the arrays that publishers send, all of them or the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from .errors import ConnectionClosed, DecodeError
from .limits import DEFAULT_LIMITS, Limits
from .patterns.latest import Latest
from .patterns.receiving import Received
from .patterns.subscribing import MAX_MESSAGES, WATCH, Subscribing
from .protocol.message import Message
from .transport.addresses import Addresses
from .transport.channel import Channel
from .transport.curve import Curve
from .transport.steps import Deadline, Need

__all__ = ["Subscriber"]


class Subscriber(Subscribing):
    """Receives what a :class:`Publisher`, or any ZeroMQ publisher of this format, sends on some topics.

    Iterating gives payloads until the subscriber is closed; messages that cannot be decoded are skipped, logged and
    counted in ``statistics().malformed``.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        topics: what to ask for: a text, or several. A topic is meant if it begins with one of them; "" means all.
        latest: give the newest message of each topic, and count those passed over. A thread takes everything as it
            comes, so that what you get was sent just now, however long ago you last asked.
        max_age: seconds since it was sent after which a message is counted as stale, and not given. Assumes that the
            clocks of both machines agree to better than that.
        max_messages: high-water mark: messages held here for each publisher; those behind wait there, and are dropped
            there. Choose few for large arrays.
        max_bytes: the same in bytes, for the largest messages that ``limits`` accept; with the default limits, one
            message at a time.
        limits: what is accepted of one message.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve`: who may take part, and nobody listens.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        EncodeError: a topic is no text.
    """

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        topics: str | Iterable[str] = "",
        latest: bool = False,
        max_age: float | None = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(
            Channel, bind, connect, topics, latest, max_age, max_messages, max_bytes, limits, context, security
        )

    def recv(self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None) -> Any:
        """The next payload. Its arrays are read-only, aligned, and valid for as long as they are referenced.

        Args:
            timeout: seconds to wait; None waits for ever, 0 not at all.
            copy: give arrays of the caller's own, that may be written to.
            out: receive into this array, and return it. A payload that does not fit is kept for the next call.

        Raises:
            Timeout: nothing came in time.
            DecodeError: a malformed message came. It is gone and counted; the next call goes on behind it.
            ConnectionClosed, MisuseError: the subscriber cannot be used any more, or not here.
        """
        return self._wait(timeout, copy, out)[0]

    def recv_message(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Message:
        """As :meth:`recv`, with what came along: topic, sequence, time, source, size."""
        return Message.of(*self._wait(timeout, copy, out))

    def _wait(self, timeout: float | None, copy: bool, out: np.ndarray[Any, Any] | None) -> Received:
        if self._latest is not None:
            return self._wait_for_latest(self._latest, timeout, copy, out)
        channel = self._channel
        deadline = None if timeout is None else Deadline(timeout, channel.situation)
        left = timeout
        channel.enter()
        try:
            received = None if self._kept is None else self._take_kept(copy, out)
            while received is None:
                first = channel.receive_for_a_while(left)
                if first is None:
                    self._watch()
                else:
                    received = self._receive(first, copy, out)
                if received is None and deadline is not None:
                    left = deadline.left(Need.READABLE)
            return received
        finally:
            channel.leave()

    def _wait_for_latest(
        self, latest: Latest, timeout: float | None, copy: bool, out: np.ndarray[Any, Any] | None
    ) -> Received:
        self._channel.check_usable()
        deadline = Deadline(timeout, self._channel.situation)
        with latest.lock:
            while True:
                received = self._take_kept(copy, out) or latest.try_take(copy, out)
                if received is not None:
                    return received
                self._channel.check_open()
                self._channel.check_welcome()
                left = deadline.left(Need.READABLE)
                latest.wait(WATCH if left is None else min(WATCH, left))

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
        """Close at once; what has not been received is dropped."""
        self._close_blocking()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
