"""What a server does, apart from how it waits: takes calls in, has them handled, hands the answers out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import zmq

from ..codec.plan import Plan
from ..errors import DecodeError, Timeout
from ..limits import Limits
from ..log import warn
from ..protocol.desk import Desk, Task
from ..protocol.parcels import gathered
from ..protocol.statistics import ServerStatistics
from ..protocol.words import Reader, Writer
from ..transport.addresses import Addresses
from ..transport.channel import Channel, check_positive
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.ending import close_at_end, read_linger
from .handling import Answer, Handling
from .methods import Method, Methods

__all__ = ["LINGER", "MAX_BYTES", "MAX_MESSAGES", "Serving"]

MAX_MESSAGES = 1000
MAX_BYTES = 2**28
LINGER = 5.0
SLICE = 0.1  # seconds after which who serves looks whether it is to end
RETRY = 0.005  # and after which it tries again to hand out an answer that found no room


class Serving(Handling):
    """State and steps of a server; the faces beside this add the waiting."""

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        threads: int,
        methods: Methods | None,
        max_messages: int,
        max_bytes: int,
        limits: Limits,
        linger: float,
        context: zmq.Context[Any] | None,
        security: Curve | None,
    ) -> None:
        check_positive(threads=threads, max_messages=max_messages, max_bytes=max_bytes)
        self._threads, self._linger = threads, read_linger(linger)
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._methods = Methods()
        if methods is not None:
            for name in methods.signatures:
                self._check_method(cast(Method, methods.find(name)))
            self._methods.include(methods)
        opened = self._open(channel, bind, connect, max_messages, limits, context, security)
        self._set_up_exchange(opened, limits, max_bytes)
        self._desk = Desk()
        self._reader, self._writer = Reader(), Writer()
        self._answers: deque[Answer] = deque()  # that have not been handed over yet
        self._backlog_bytes = 0
        self._results = self._errors = self._undelivered = self._malformed = 0
        self._stopping = False
        self._looked = 0.0
        self._server: int | None = None  # the thread that serves
        close_at_end(self)

    def _open(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None,
    ) -> Channel:
        options: dict[int, Any] = {
            zmq.ROUTER_MANDATORY: 1,  # or an answer to somebody who has left, or is full, would vanish
            zmq.ROUTER_HANDOVER: 1,  # who comes again on another connection is the same client
            zmq.RECONNECT_IVL_MAX: 1000,
        }
        return channel(
            zmq.ROUTER,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=limits.max_total_bytes,
            options=options,
            context=context,
            security=security,
        )

    def __del__(self) -> None:
        if hasattr(self, "_channel"):
            self._close_blocking()

    def statistics(self) -> ServerStatistics:
        """What has been done so far."""
        connections, desk = self._channel.connections, self._desk
        if not self.closed:
            self._channel.check_not_forked()
            connections.refresh()
        return ServerStatistics(
            results=self._results,
            errors=self._errors,
            waiting=desk.waiting,
            begun=desk.begun,
            repeated=desk.repeated,
            cancelled=desk.cancelled,
            undelivered=self._undelivered,
            malformed=self._malformed,
            connections=connections.count,
            disconnects=connections.disconnects,
            unshared=self._parcels.unshared,
            **refused(connections),
        )

    # Taking in

    def _has_room(self) -> bool:
        """Whether more calls are to be taken off the wire; where not, their clients have to wait."""
        return (
            not self._stopping
            and self._desk.waiting < self._max_messages
            and self._desk.nbytes < self._max_bytes
            and self._backlog_bytes < self._max_bytes
        )

    def _take_in(self) -> None:
        """All that has come, as far as there is room: a call that waits can still be cancelled."""
        while self._has_room() and self._channel.readable() and (first := self._channel.try_receive()) is not None:
            task = self._take(first)
            if task is not None:
                self._desk.add(task)

    def _take(self, first: bytes) -> Task | None:
        """The call that the message is whose first part is here; anything else is heeded at once."""
        head, metadata = self._channel.take_one(), self._channel.take_one()
        return self._heed(first, head, metadata)

    def _heed(self, peer: bytes, head: bytes, metadata: bytes) -> Task | None:
        """The call that ``head`` and ``metadata`` begin, and None for any other word, which is heeded at once."""
        try:
            return self._read(peer, head, metadata)
        except DecodeError as error:
            self._malformed += 1
            self._skipped(error)
            return None
        finally:
            if self._channel.more:
                self._channel.drop_rest()

    def _read(self, peer: bytes, head: bytes, metadata: bytes) -> Task | None:
        kind, fields, number = self._reader.read(head)
        if kind == "call":
            method, form, attempt = fields
            return Task(peer, peer, number, attempt, method, form, *self._fetch_arguments(metadata, len(head)))
        if kind == "cancel":
            self._desk.cancel((peer, number))
        return None

    def _fetch_arguments(self, metadata: bytes, nbytes: int) -> tuple[tuple[Plan, Sequence[Any]] | DecodeError, int]:
        try:
            plan, parts, nbytes = self._fetch(metadata, nbytes)
            return (plan, parts), nbytes
        except DecodeError as error:  # whose call it is, is known: that one is to hear of it
            self._malformed += 1
            return error, 0

    # Handing out

    def _answer(self, answer: Answer) -> None:
        """Hand ``answer`` over, or keep it until there is room."""
        self._desk.done(answer.task)
        if answer.kind == "result":
            self._results += 1
        else:
            self._errors += 1
        if self._answers or not self._try_answer(answer):
            self._answers.append(answer._replace(parcel=gathered(answer.parcel)))
            self._backlog_bytes += answer.parcel.nbytes

    def _flush(self) -> None:
        """Hand over what found no room before, to whoever has some now."""
        for _ in range(len(self._answers)):
            answer = self._answers.popleft()
            if self._try_answer(answer):
                self._backlog_bytes -= answer.parcel.nbytes
            else:
                self._answers.append(answer)

    def _try_answer(self, answer: Answer) -> bool:
        task, parcel = answer.task, answer.parcel
        if self._channel.closed:  # the handler took longer than there was time
            self._undelivered += 1
            return True
        front = self._front(answer)
        copied = None if parcel.copied is parcel.frames else [*front, *parcel.copied]
        if parcel.lot is not None:
            self._address(parcel, task.client)
        sent = self._channel.try_route([*front, *parcel.frames], copied)
        if not sent:
            self._take_back(parcel, task.client)
        if sent is None:
            self._undelivered += 1
            told = "%s: the answer of %s() has nobody to go to: its client has left"
            self._channel.complaints.say(told, self._channel, task.method)
            return True
        return sent

    def _front(self, answer: Answer) -> list[bytes]:
        """What stands in front of the payload."""
        return [answer.task.peer, self._writer.about(answer.task.number, answer.kind)]

    # What a worker has to do besides

    def _begin_serving(self) -> None:
        """Before the first call is taken."""

    def _look(self) -> None:
        """AuthenticationError if everybody whom it connects to refuses it; we try again, now and then."""
        now = time.monotonic()
        if now - self._looked > SLICE:
            self._looked = now
            self._channel.look()

    def _tend(self) -> None:
        """Now and then, while it serves and while the last handlers finish."""

    def _begin_to_leave(self) -> None:
        """Before the last handlers finish."""

    def _before_the_end(self) -> None:
        """After the last answer."""

    # The end

    def _stop(self) -> None:
        """Take no more calls in."""
        self._stopping = True

    def _drop_waiting(self) -> None:
        """What has not been begun will not be; the clients send it again, to whoever comes next."""
        dropped = self._desk.clear()
        if dropped:
            warn("%s: closed with %d calls that were not begun", self._channel, len(dropped))

    def _close_blocking(self) -> None:
        raise NotImplementedError

    def _finish(self, linger: float) -> None:
        """Give answers up to ``linger`` seconds to arrive, then close; for the thread that served."""
        channel = self._channel
        deadline = time.monotonic() + linger
        while self._answers and time.monotonic() < deadline:
            self._flush()
            threading.Event().wait(RETRY if self._answers else 0)
        channel.closing = True
        try:
            if self._results or self._errors:
                channel.go_on(channel.answering(), max(0.0, deadline - time.monotonic()))
        except Timeout as timeout:
            self._say_unsure(timeout)
        finally:
            self._say_untaken()
            self._shut()

    def _shut(self) -> None:
        self._channel.close()
        self._stop_exchange(self._linger)

    def _say_unsure(self, timeout: Timeout) -> None:
        warn("%s: closed, and the last answers may not have arrived: %s", self._channel, timeout)

    def _say_untaken(self) -> None:
        if self._answers:
            self._undelivered += len(self._answers)
            warn("%s: closed with %d answers that nobody took", self._channel, len(self._answers))
