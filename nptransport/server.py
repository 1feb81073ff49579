"""Server: functions that clients in other processes call."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import zmq

from .limits import DEFAULT_LIMITS, Limits
from .patterns.methods import Methods
from .patterns.serving import LINGER, MAX_BYTES, MAX_MESSAGES
from .patterns.threaded import ThreadedServing
from .transport.addresses import Addresses
from .transport.channel import Channel
from .transport.curve import Curve

__all__ = ["Server"]


class Server(ThreadedServing):
    """Offers functions to each :class:`Client`. ::

        server = npt.Server(bind="tcp://*:5555")

        @server.method
        def resize(image, scale=2): ...

        server.serve()

    An exception in a handler arrives at its client as :class:`RemoteError`, and the server goes on.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        threads: calls handled at once. With 1, in the thread that runs ``serve``.
        methods: functions to offer, besides those that ``method`` and ``register`` add.
        max_messages, max_bytes: calls that may wait here, and bytes of their arguments; further calls wait at their
            clients. Over shm:// ``max_bytes`` also bounds the shared memory for results.
        limits: bounds on a call, and on a result: those of the clients, or stricter.
        linger: seconds that ``close`` waits for handlers that run, and for their answers to arrive.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
        TypeError: ``methods`` holds a coroutine function.
    """

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        threads: int = 1,
        methods: Methods | None = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._set_up(
            Channel, bind, connect, threads, methods, max_messages, max_bytes, limits, linger, context, security
        )
        self._set_up_threads()
        self._inline = threads == 1

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
