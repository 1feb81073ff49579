"""Client: calls of functions that live in other processes."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import zmq

from .errors import Timeout
from .limits import DEFAULT_LIMITS, Limits
from .patterns.leading import Leading
from .patterns.progress import Progress
from .patterns.requesting import MAX_BYTES, SLICE, WINDOW_BYTES, WINDOW_CALLS
from .protocol.calls import Call
from .protocol.window import Window
from .protocol.words import Form
from .transport.addresses import Addresses
from .transport.channel import Channel
from .transport.curve import Curve

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .patterns.replies import Reply

__all__ = ["Client"]

_NOTHING = "", 0, b""


class Client(Leading):
    """Calls the methods of a :class:`Server`, or of the workers behind a :class:`Broker`. Threads may share it.

    Each call ends in one result or one error. It is kept until it is answered, and sent again if the connection that it
    was sent on ends: a server that is away may come back, within the call's timeout. So a handler may run more than
    once for one call; ``current_call().id`` tells it which call that is.

    Args:
        bind, connect: one address each, or a list. tcp://HOST:PORT, ipc://PATH, inproc://NAME, shm://NAME. Several
            servers are called in turn.
        max_bytes: bytes of arguments that wait for an answer before ``submit`` blocks; a larger call goes alone. Over
            shm:// it also bounds the shared memory for them.
        limits: bounds on a result, and on the arguments of a call: those of the servers, or stricter.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        max_bytes: int = MAX_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._prepared = _NOTHING  # or method, number and word of the call that may be the next
        self._set_up(Channel, bind, connect, max_bytes, limits, context, security)
        self._set_up_leading()

    def call(self, method: str, /, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """The result of ``method`` with these arguments, each anything that :func:`encode` takes.

        Args:
            timeout: seconds to wait for it; None waits for ever. The call is given up after that.

        Raises:
            EncodeError: something in the arguments cannot travel. Nothing has been sent.
            RemoteError: the handler raised an exception, there is no such method, or it takes other arguments.
            DecodeError: the result cannot be decoded.
            Timeout: there was no answer in time. The call may have been handled all the same.
            AuthenticationError: every address that it connects to refuses it.
            ConnectionClosed: it has been closed.
            MisuseError: this is a forked child.
        """
        alone = not kwargs and len(args) == 1 and not self._shared and not self._calls.outstanding
        if alone and self._leading.acquire(blocking=False):
            try:
                call = self._call_at_once(method, args[0], timeout)
            finally:
                self._leading.release()
            if call.done:
                return call.value()
        else:
            call = self._prepare(method, args, kwargs, timeout, None, keep=False)
            self._begin(call)
        try:
            self._await(call)
        except BaseException:
            self._abandon(call)
            raise
        return call.value()

    def _call_at_once(self, method: str, argument: Any, timeout: float | None) -> Call:
        """A call where there is no other: sent, and its answer taken, without the books unless something comes between.
        A short cut, on which what can be done while the call is on its way is done then."""
        channel, calls, started = self._channel, self._calls, time.monotonic()
        parcel = self._pack(method, Form.ONE, argument, False)
        if started - self._looked > SLICE / 2:
            self._look(started)
        (prepared, number, head), self._prepared = self._prepared, _NOTHING  # whatever happens, no number goes twice
        if prepared != method:
            number, head = self._reserve(method)
        copied = None if parcel.copied is parcel.frames else [head, *parcel.copied]
        sent = not calls.anything_to_send(started) and channel.try_send([head, *parcel.frames], copied)
        call = Call(method, Form.ONE, parcel, timeout, started, None)
        if not sent:
            self._begin(call)
            return call
        answer = self._result_start + head[-8:]
        self._prepared = method, *self._reserve(method)
        first = None
        try:
            first = channel.receive_eagerly(SLICE if timeout is None else min(SLICE, timeout))
        except BaseException:
            with self._lock:
                calls.adopt(call, number)
            self._abandon(call)
            raise
        if first == answer:
            calls.begun += 1
            call.number, call.attempts = number, 1
            self._end(call, True, len(first))
            return call
        with self._lock:
            calls.adopt(call, number)
        if first is not None:
            self._take(first)
        return call

    def _reserve(self, method: str) -> tuple[int, bytes]:
        """Number and word of the next call that is made like that."""
        number = self._calls.reserve()
        return number, self._writer.about(number, "call", method, Form.ONE, 1)

    def submit(self, method: str, /, *args: Any, timeout: float | None = None, **kwargs: Any) -> Future[Any]:
        """As :meth:`call`, and return at once with the future of the result.

        On return the arguments may be changed. If ``max_bytes`` of arguments wait for answers already, it waits for
        room first: Timeout after ``timeout`` seconds.
        """
        return self._submit(method, args, kwargs, timeout)

    def _submit(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None) -> Reply:
        from .patterns.replies import Reply

        reply = Reply(self._give_up)
        reply.call = call = self._prepare(method, args, kwargs, timeout, reply.settle, keep=True)
        self._shared = True
        with self._changed:
            while not self._has_room(call.parcel.nbytes):
                self._channel.check_open()
                left = SLICE if call.deadline is None else min(SLICE, call.deadline - time.monotonic())
                if left <= 0:
                    raise Timeout(
                        f"{self._channel}: {self._calls.nbytes} bytes wait for answers already, and {timeout:g} s "
                        "brought no room; give more max_bytes, or submit less at once",
                        seconds=timeout,
                    )
                self._start_thread()
                self._changed.wait(left)
            self._begin(call)
            self._start_thread()
            self._changed.notify_all()
        self._wake()
        return reply

    def map(
        self,
        method: str,
        items: Iterable[Any],
        *,
        ordered: bool = True,
        progress: bool = False,
        max_bytes: int = WINDOW_BYTES,
        max_calls: int = WINDOW_CALLS,
        timeout: float | None = None,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
        """The results of ``method`` for each of ``items``, of which only as many are taken as the window has room for.

        Args:
            items: any iterable; each is the one argument of a call.
            ordered: True: in the order of the items; False: as they come.
            progress: show a bar on stderr; needs ``rich``.
            max_bytes: the window: bytes of arguments that wait for answers, and of results that wait to be taken.
            max_calls: the same in calls.
            timeout: seconds for each call.
            return_exceptions: give the error of a call in place of its result, and go on; else the first is raised, and
                the other calls are given up.

        Raises:
            as :meth:`call`.
        """
        source, window = iter(items), Window(max_calls, max_bytes)
        pending: dict[Reply, None] = {}
        done: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        with Progress(progress, items, method) as bar:
            try:
                while True:
                    while window.has_room():
                        reply = self._submit_next(method, source, timeout)
                        if reply is None:
                            break
                        pending[reply] = None
                        window.add(reply.call)
                        if not ordered:
                            reply.add_done_callback(lambda reply: done.put(cast("Reply", reply)))
                        if next(iter(pending)).done() if ordered else not done.empty():
                            break  # one in, one out: who makes the items may take their time
                    if not pending:
                        return
                    reply = next(iter(pending)) if ordered else done.get()
                    try:
                        result = reply.result()
                    except Exception as error:
                        if not return_exceptions:
                            raise
                        result = error
                    del pending[reply]
                    window.remove(reply.call)
                    bar.advance()
                    del reply  # nothing here is to keep what the caller has done with
                    yield result
                    del result
            finally:
                for reply in pending:
                    reply.cancel()

    def _submit_next(self, method: str, source: Iterator[Any], timeout: float | None) -> Reply | None:
        for item in source:
            return self._submit(method, (item,), {}, timeout)
        return None

    def close(self) -> None:
        """Close at once. Calls that have not been answered end with ConnectionClosed."""
        self._close_blocking()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
