"""Worker: a server that a broker feeds."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import zmq

from .limits import DEFAULT_LIMITS, Limits
from .patterns.methods import Methods
from .patterns.serving import LINGER, MAX_BYTES, MAX_MESSAGES
from .patterns.threaded import ThreadedServing
from .patterns.working import INTERVAL, Working
from .transport.addresses import Addresses
from .transport.channel import Channel
from .transport.curve import Curve

__all__ = ["Worker"]


class Worker(Working, ThreadedServing):
    """Offers functions to the clients of a :class:`Broker`: as a :class:`Server`, with ``serve``.

    It gets up to ``slots`` tasks at a time. The thread that runs ``serve`` sends heartbeats while handlers work in
    threads of their own; a handler that holds the GIL for longer than three intervals makes the worker look dead, and
    its tasks go to others.

    Args:
        connect: the address of the broker's backend.
        slots: tasks handled at once, each in a thread.
        methods: functions to offer, besides those that ``method`` and ``register`` add before ``serve``.
        name: its name in the broker's statistics; by default, host and process id.
        interval: seconds between heartbeats to the broker, at the most; it considers the worker dead after three
            intervals without one.
        max_bytes: bytes of reused buffers for results; over shm://, of shared memory for them.
        limits: bounds on a task, and on a result: those of the clients, or stricter.
        linger: seconds that ``close`` waits for handlers that run, and for their answers to arrive.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.

    Raises:
        AddressError: the address is malformed, or of a kind that this system lacks; or there is not exactly one.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
        TypeError: ``methods`` holds a coroutine function.
    """

    def __init__(
        self,
        *,
        connect: Addresses = None,
        slots: int = 1,
        methods: Methods | None = None,
        name: str | None = None,
        interval: float = INTERVAL,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._introduce(name, interval, limits)
        self._set_up(Channel, None, connect, slots, methods, MAX_MESSAGES, max_bytes, limits, linger, context, security)
        self._set_up_threads()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
