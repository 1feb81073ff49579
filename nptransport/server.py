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

    What a handler raises arrives as :class:`RemoteError`, and the server goes on.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        threads: calls that are worked on at one time; with 1 in the thread that serves, without a hand-over.
        methods: functions to offer, beside those that ``method`` and ``register`` add.
        max_messages, max_bytes: calls that may wait here; the others' clients wait. Over shm:// ``max_bytes`` is also
            the budget of shared memory for results.
        limits: what is accepted of one call, and what the clients accept.
        linger: seconds that ``close`` gives what is being worked on, and its answers.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve`: who may take part, and nobody listens.

    Raises:
        AuthenticationError: ``security`` cannot be had.
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
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
