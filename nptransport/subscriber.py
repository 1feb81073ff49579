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
        topics: one prefix or several; topics that start with one of them are delivered. "" is all.
        latest: give the newest message of each topic, and count those passed over. A thread takes everything as it
            comes, so that what you get was sent just now, however long ago you last asked.
        max_age: seconds after which a message is too old: it is counted as stale, and not delivered. Assumes that the
            clocks of both machines agree to better than that.
        max_messages: high-water mark: messages held here for each publisher; further ones wait at the publisher, and
            are dropped there. Choose few for large arrays.
        max_bytes: the same in bytes, where each message counts as the largest that ``limits`` accept; with the default
            limits, one message at a time.
        limits: bounds on each message; one that exceeds them is refused.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
        EncodeError: a topic is no str, or longer than 4096 bytes.
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
        return self._wait(timeout, copy, out)[0]

    def recv_message(
        self, *, timeout: float | None = None, copy: bool = False, out: np.ndarray[Any, Any] | None = None
    ) -> Message:
        """As :meth:`recv`, with topic, sequence, time, source and size of the message."""
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
