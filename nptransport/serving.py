"""What a server does, apart from how it waits: takes calls in, has them handled, hands the answers out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import zmq

from .addresses import Addresses
from .channel import Channel, check_positive
from .codec import Plan
from .connections import refused
from .curve import Curve
from .ending import close_at_end
from .errors import DecodeError, EncodeError, Timeout
from .exchanging import Exchanging
from .limits import Limits
from .log import warn
from .methods import Failure, Method, Methods, Offering, set_current_call
from .protocol.desk import Desk, Task
from .protocol.parcels import Parcel, gathered
from .protocol.statistics import ServerStatistics
from .protocol.words import PREFIX, Form, Reader, Word, Writer

__all__ = ["LINGER", "MAX_BYTES", "MAX_MESSAGES", "Answer", "Serving"]

MAX_MESSAGES = 1000
MAX_BYTES = 2**28
LINGER = 5.0
SLICE = 0.1  # seconds after which who serves looks whether it is to end
_LONGEST_TEXT = 100_000  # letters of an error
RETRY = 0.005  # and after which it tries again to hand out an answer that found no room


class Answer(NamedTuple):
    """What became of a task."""

    task: Task
    kind: str
    """result or error."""
    parcel: Parcel


class Serving(Exchanging, Offering):
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
        self._threads, self._linger = threads, linger
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

    # What is offered

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """Offer ``function`` as ``name``. ValueError if that is taken, or is no name."""
        self._check_method(Method(name, function))
        self._methods.register(name, function)

    def _check_method(self, method: Method) -> None:
        if method.is_async:
            raise TypeError(f"{method.name} is a coroutine function; use nptransport.asyncio for those")

    @property
    def methods(self) -> dict[str, str]:
        """What is offered: signatures by name."""
        return self._methods.signatures

    def statistics(self) -> ServerStatistics:
        """What has been done so far."""
        connections, desk = self._channel.connections, self._desk
        if not self.closed:
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
            self._take(first)

    def _take(self, first: bytes) -> None:
        """A message whose first part is here already."""
        channel = self._channel
        try:
            peer, head = self._split(first)
            self._heed(peer, self._reader.read(head), len(head))
        except DecodeError as error:
            self._malformed += 1
            warn("%s: skipped a message: %s", channel, error)
        finally:
            if channel.more:
                channel.drop_rest()

    def _split(self, first: bytes) -> tuple[bytes, bytes]:
        """Whom the message is from, and its word."""
        return first, self._channel.take_one()

    def _heed(self, peer: bytes, word: Word, nbytes: int) -> None:
        if word.kind == "call":
            method, form, attempt = word.fields
            self._desk.add(Task(peer, peer, word.number, attempt, method, form, *self._arguments(nbytes)))
        elif word.kind == "cancel":
            self._desk.cancel((peer, word.number))

    def _arguments(self, nbytes: int) -> tuple[tuple[Plan, Sequence[Any]] | DecodeError, int]:
        try:
            plan, parts, nbytes = self._fetch(nbytes)
            return (plan, parts), nbytes
        except DecodeError as error:  # whose call it is, is known: that one is to hear of it
            self._malformed += 1
            return error, 0

    # Handling: in any thread

    def _find(self, task: Task) -> tuple[Method, tuple[Any, ...], dict[str, Any]] | Failure:
        """What to call with which arguments."""
        letter, task.letter = task.letter, None  # what it holds is to go when the handler has done with it
        try:
            if isinstance(letter, DecodeError):
                raise letter
            plan, parts = letter
            payload = plan.payload(parts)
            if task.form == Form.ONE:
                arguments: tuple[tuple[Any, ...], dict[str, Any]] = (payload,), {}
            else:
                arguments = _read_arguments(payload)
        except DecodeError as error:
            return Failure("DecodeError", str(error), "", {})
        method = self._methods.find(task.method) or self._own_method(task.method)
        if method is None:
            return Failure("UnknownMethod", f"there is no {task.method}; there are:", "", self._methods.signatures)
        mistake = None if task.form == Form.ONE and method.takes_one else method.mistake(*arguments)
        if mistake is not None:
            return Failure("WrongArguments", f"{mistake}; it is {method.text}", "", self._methods.signatures)
        return method, *arguments

    def _own_method(self, name: str) -> Method | None:
        """Those that every server has."""
        return Method(name, lambda: self._methods.signatures) if name == f"{PREFIX}methods" else None

    def _handle(self, task: Task) -> Answer:
        """Call the function; whatever it does, there is an answer."""
        found = self._find(task)
        if isinstance(found, Failure):
            return self._fail(task, found)
        method, args, kwargs = found
        set_current_call(task)
        try:
            result = method.function(*args, **kwargs)
        except BaseException as error:
            answer = self._fail(task, Failure.of(error))
            if isinstance(error, KeyboardInterrupt) and threading.get_ident() == self._server:
                self._answer(answer)
                raise  # it is meant for who serves, in whose thread the function was called
            return answer
        return self._succeed(task, result)

    def _succeed(self, task: Task, result: Any) -> Answer:
        try:
            return Answer(task, "result", self._parcels.pack(result, keep=False))
        except EncodeError as error:
            text = f"the result cannot travel: {error}"
            return self._fail(task, Failure("EncodeError", text, "", {}))

    def _fail(self, task: Task, failure: Failure) -> Answer:
        texts = {name: getattr(failure, name)[:_LONGEST_TEXT] for name in ("type", "text", "traceback")}
        texts = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
        return Answer(task, "error", self._parcels.pack({**texts, "methods": failure.methods}, keep=False))

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
            warn("%s: the answer of %s() has nobody to go to: its client has left", self._channel, task.method)
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


def _read_arguments(payload: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(payload, list) and len(payload) == 2:
        args, kwargs = payload
        if isinstance(args, list) and isinstance(kwargs, dict) and all(isinstance(name, str) for name in kwargs):
            return tuple(args), kwargs
    raise DecodeError.of("arguments", expected="[positional, by name]", found=f"{type(payload).__name__}")
