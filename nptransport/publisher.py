"""Publisher: the same arrays to every subscriber, each at its own pace."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .errors import Timeout
from .patterns.publishing import Publishing
from .protocol.handle import SendHandle
from .shm.layout import Lent, check_not_open
from .transport.ending import read_linger

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Publisher"]


class Publisher(Publishing):
    """Sends each payload to every :class:`Subscriber` that asks for its topic (ZeroMQ's XPUB).

    It never waits for a subscriber. One that cannot keep up has messages dropped, which are counted here for want of
    what, and there as missed; the others go on. Threads may share it.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        max_messages: high-water mark: messages that wait for one subscriber before more are dropped.
        max_bytes: bytes of messages that wait, all subscribers together, at least four messages for each. One that is
            stuck gets no more than a third of them.
        retain: 1 keeps the last message of each topic, beyond ``max_bytes``, and gives it at once to whoever
            subscribes later.
        limits: what the subscribers accept.
        linger: seconds that ``close`` gives the subscribers to read what was sent.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve`: who may take part, and nobody listens.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` cannot be had.
    """

    @overload
    def send(self, payload: Any, *, topic: str = "", copy: Literal[True] = True) -> None: ...

    @overload
    def send(self, payload: Any, *, topic: str = "", copy: Literal[False]) -> SendHandle: ...

    @overload
    def send(self, payload: Any, *, topic: str = "", copy: bool) -> SendHandle | None: ...

    def send(self, payload: Any, *, topic: str = "", copy: bool = True) -> SendHandle | None:
        """Send ``payload``, an array or whatever :func:`encode` takes, to those who want ``topic``; returns at once.

        Args:
            topic: any text. A subscriber gets the topics that begin with what it asks for.
            copy: True: the arrays are yours again on return. False: large ones are lent, not copied (unless they are
                retained); leave them unchanged until the handle that is returned is ``done``.

        Raises:
            EncodeError: something in it cannot travel, or the topic is no text. Nothing has been sent.
            ConnectionClosed, MisuseError: the publisher cannot be used any more, or not here.
        """
        return self._publish(payload, topic, copy)

    def loan(
        self, shape: int | Sequence[int], dtype: DTypeLike = float, *, topic: str = "", order: Literal["C", "F"] = "C"
    ) -> Loan:
        """Memory to write the next message on ``topic`` into: no copy at all over shm://, one elsewhere.

        ``with publisher.loan((1080, 1920, 3), "u1", topic="camera") as frame:`` gives an array with anything in it, and
        sends it at the end of the block; an exception in the block sends nothing. Keep no reference to it. It never
        waits: without room in shared memory it is other memory, and copied or dropped as ``send`` would.

        Args:
            shape, dtype, order: of the array, as for numpy.empty.

        Raises:
            EncodeError: no array of this dtype or size can be lent.
        """
        return Loan(self, shape, dtype, topic, order)

    def wait_for_subscribers(self, count: int = 1, *, topic: str | None = None, timeout: float | None = None) -> None:
        """Return once at least ``count`` subscribers would get a message on ``topic``, or are there at all if that is
        None; Timeout after ``timeout`` seconds (None: no end).

        Those behind a :class:`Proxy` count as well. A plain ZeroMQ socket counts once for each of its subscriptions.
        """
        try:
            self._channel.go_on(self._waiting_for_subscribers(count, topic), timeout)
        except Timeout as error:
            raise self._too_few(count, topic, error) from None

    def close(self, *, linger: float | None = None) -> int:
        """Give the subscribers up to ``linger`` seconds to read all that was sent to them, then close.

        Returns:
            0 if every subscriber read everything; else the number of messages, at the least, that are not known to
            have arrived. Those are also reported as a warning in the log ``nptransport``.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Loan:
    """A block in which a message is written into the memory that it is sent from."""

    def __init__(
        self,
        publisher: Publisher,
        shape: int | Sequence[int],
        dtype: DTypeLike,
        topic: str,
        order: Literal["C", "F"],
    ) -> None:
        self._publisher, self._topic = publisher, topic
        self._asked = (shape, dtype, order)
        self._lent: Lent | None = None

    def __enter__(self) -> np.ndarray[Any, Any]:
        check_not_open(self._lent)
        self._lent = self._publisher._lend(*self._asked)
        return self._lent.array

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lent, self._lent = self._lent, None
        assert lent is not None
        if kind is None:
            self._publisher._publish_lent(lent, self._topic)
        else:
            self._publisher._take_back(lent)
