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

    It gets as many tasks at one time as it has ``slots``. The thread that serves speaks to the broker while handlers
    work in threads of their own; one that holds the interpreter's lock for longer than three intervals makes the worker
    look dead, and its tasks go to others.

    Args:
        connect: the address of the broker's backend.
        slots: tasks that are worked on at one time, each in a thread.
        methods: functions to offer, beside those that ``method`` and ``register`` add before ``serve``.
        name: what the broker's statistics call it; host and process otherwise.
        interval: seconds between two words to the broker, which takes three times that in silence for its death.
        max_bytes: of warm memory for results; over shm:// the budget of shared memory.
        limits: what is accepted of one task, and what the clients accept.
        linger: seconds that ``close`` gives what is being worked on, and its answers.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve`: who may take part, and nobody listens.

    Raises:
        AuthenticationError: ``security`` cannot be had.
        AddressError: an address is malformed, or of a kind that this system lacks.
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
