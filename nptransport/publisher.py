"""Publisher: the same arrays to every subscriber, each at its own pace."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .errors import Timeout
from .patterns.publishing import Publishing
from .protocol.handle import SendHandle
from .shm.layout import Lending
from .transport.ending import read_linger

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Publisher"]


class Publisher(Publishing):
    """Sends each payload to every :class:`Subscriber` that asks for its topic (ZeroMQ's XPUB).

    It never waits for a subscriber. One that cannot keep up has messages dropped, counted here by the limit that was
    hit, and as missed at the subscriber; the others go on. Threads may share it.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME.
        max_messages: high-water mark: messages that wait for one subscriber before more are dropped.
        max_bytes: bytes of messages that wait, all subscribers together, at least four messages for each. One that is
            stuck gets no more than a third of them. Over shm://, shared memory that messages take until the last reader
            has let go of them; one of any size fits beside one that a reader holds.
        retain: 1 keeps the last message of each topic, beyond ``max_bytes``, and sends it at once to whoever
            subscribes later.
        limits: bounds on each message; those of the subscribers, or stricter.
        linger: seconds that ``close`` waits for the subscribers to read what was sent.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
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
            topic: any str. A subscriber gets the topics that start with one of its prefixes.
            copy: True: on return the arrays may be changed. False: large ones are not copied (unless they are
                retained): leave them unchanged until the handle that is returned is ``done``.

        Raises:
            EncodeError: something in it cannot travel, or the topic is no str. Nothing has been sent.
            ConnectionClosed: it has been closed.
            MisuseError: ``send`` was called from within ``send``, as by a signal handler, or this is a forked child.
            TransportError: the system has no memory left for it; or an error has ended the publisher's thread.
        """
        return self._publish(payload, topic, copy)

    def loan(
        self, shape: int | Sequence[int], dtype: DTypeLike = float, *, topic: str = "", order: Literal["C", "F"] = "C"
    ) -> Loan:
        """Memory to write the next message on ``topic`` into: no copy at all over shm://, one elsewhere.

        ``with publisher.loan((1080, 1920, 3), "u1", topic="camera") as frame:`` gives an uninitialized array, and sends
        it at the end of the block; an exception in the block sends nothing. Keep no reference to it. It never waits:
        without room in shared memory it lies in other memory, from which it is copied, or dropped, as by ``send``.

        Args:
            shape, dtype, order: of the array, as for numpy.empty.

        Raises:
            EncodeError: no array of this dtype or size can be lent.
            ConnectionClosed, MisuseError, TransportError: as :meth:`send`.
        """
        return Loan(self, shape, dtype, order, None, topic)

    def wait_for_subscribers(self, count: int = 1, *, topic: str | None = None, timeout: float | None = None) -> None:
        """Return once at least ``count`` subscribers would get a message on ``topic``; None: are connected at all.

        Those behind a :class:`Proxy` count as well. A plain ZeroMQ socket counts once for each of its subscriptions.

        Raises:
            EncodeError: the topic is no str.
            Timeout: there were fewer within ``timeout`` seconds (None: no end).
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: this is a forked child.
        """
        try:
            self._channel.go_on(self._waiting_for_subscribers(count, topic), timeout)
        except Timeout as error:
            raise self._too_few(count, topic, error) from None

    def close(self, *, linger: float | None = None) -> int:
        """Wait up to ``linger`` seconds for the subscribers to read all that was sent to them, then close.

        Returns:
            0 if every subscriber read everything; else a lower bound of the number of messages that are not known to
            have arrived. It is also reported as a warning in the log ``nptransport``.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Loan(Lending[Publisher]):
    """A block in which a message is written into the memory that it is sent from."""

    def __enter__(self) -> np.ndarray[Any, Any]:
        return self._endpoint._lend(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._endpoint._publish_lent(self)
        else:
            self._endpoint._take_back(self)
