"""What a client does, apart from how it waits."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import zmq

from ..errors import AuthenticationError, ConnectionClosed, DecodeError, EncodeError, MemoryLost, RemoteError, Timeout
from ..limits import Limits
from ..protocol.calls import Call, Calls
from ..protocol.failure import Failure
from ..protocol.parcels import Parcel
from ..protocol.statistics import ClientStatistics
from ..protocol.words import Form, Reader, Word, Writer
from ..transport.addresses import Addresses
from ..transport.channel import Channel, check_positive
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.ending import close_at_end
from ..transport.steps import STOOD_STILL
from .exchanging import Exchanging
from .methods import is_name

__all__ = ["MAX_BYTES", "SLICE", "WINDOW_BYTES", "WINDOW_CALLS", "Requesting"]

MAX_BYTES = 2**28
WINDOW_BYTES = 2**26  # of a map: some tens of pictures
WINDOW_CALLS = 1000
SLICE = 0.1  # seconds after which who waits looks after the connections
_MAX_MESSAGES = 1000
_REMEMBERED = 256
_LOSSES = 3  # times that a call is sent again, since memory of it or of its answer could not be had


class Requesting(Exchanging):
    """State and steps of a client; the faces beside this add the waiting."""

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_bytes: int,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None,
    ) -> None:
        check_positive(max_bytes=max_bytes)
        identity = b"c" + os.urandom(16)  # known again after a reconnection, and to nobody else
        opened = channel(
            zmq.DEALER,
            bind,
            connect,
            max_messages=_MAX_MESSAGES,
            max_part_bytes=limits.max_total_bytes,
            options={
                zmq.ROUTING_ID: identity,
                # What is not on its way is ours, to be sent on the next connection and not twice.
                zmq.IMMEDIATE: 1,
                zmq.RECONNECT_IVL_MAX: 1000,
            },
            context=context,
            security=security,
        )
        self._set_up_exchange(opened, limits, max_bytes, identity)
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._calls = Calls()
        self._reader, self._writer = Reader(), Writer()
        self._result_start = self._writer.start("result")
        self._names: set[str] = set()  # of methods that were called
        self._looked = 0.0
        self._lost = 0  # connections that had ended when last looked
        self._blocked = False  # whether the last message to be sent found no room
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_channel"):
            self._close_blocking()

    def _close_blocking(self) -> None:
        raise NotImplementedError

    def statistics(self) -> ClientStatistics:
        """What has been done so far."""
        connections, calls = self._channel.connections, self._calls
        if not self.closed:
            self._channel.check_not_forked()
            connections.refresh()
        with self._lock:
            return ClientStatistics(
                calls=calls.begun,
                results=calls.results,
                errors=calls.errors,
                timeouts=calls.timeouts,
                cancelled=calls.cancelled,
                outstanding=len(calls.outstanding),
                bytes_outstanding=calls.nbytes,
                resent=calls.resent,
                late=calls.late,
                malformed=calls.malformed,
                connections=connections.count,
                disconnects=connections.disconnects,
                unshared=self._parcels.unshared,
                **refused(connections),
            )

    # Calls

    def _prepare(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        settle: Callable[[Call], None] | None,
        *,
        keep: bool,
    ) -> Call:
        if len(args) == 1 and not kwargs:
            form, payload = Form.ONE, args[0]
        else:
            form, payload = Form.ALL, [list(args), dict(kwargs)]
        return Call(method, form, self._pack(method, form, payload, keep), timeout, time.monotonic(), settle)

    def _pack(self, method: str, form: int, payload: Any, keep: bool) -> Parcel:
        """The arguments of a call that may be made, of a method that there may be."""
        self._channel.check_usable()
        if type(method) is not str or method not in self._names:
            self._check_name(method)
        try:
            return self._parcels.pack(payload, keep=keep)
        except EncodeError as error:
            raise EncodeError.at(_argument_at(error.path, form), error.reason) from error.__cause__

    def _check_name(self, method: str) -> None:
        if not is_name(method):
            raise EncodeError.at("method", f"expected a printable name of at most 256 letters, found {method!r:.80}")
        if len(self._names) < _REMEMBERED:
            self._names.add(method)

    def _begin(self, call: Call) -> None:
        with self._lock:
            self._channel.check_open()
            self._calls.begin(call)

    def _has_room(self, nbytes: int) -> bool:
        """Whether so many bytes more may wait for an answer; an argument that is larger alone goes alone."""
        return not self._calls.nbytes or self._calls.nbytes + nbytes <= self._max_bytes

    def _timeout_of(self, call: Call) -> Timeout:
        what = "sent" if call.attempts else "not sent yet, as nobody is there or has room"
        text = f"{call.method}() was not answered within {call.timeout:g} s ({what})"
        return Timeout(self._channel.situation(text), seconds=call.timeout)

    def _abandon(self, call: Call) -> bool:
        """The caller waits no more; whether the call was outstanding still."""
        with self._lock:
            return self._calls.cancel(call.number)

    def _closed_error(self) -> ConnectionClosed:
        return ConnectionClosed(f"{self._channel}: closed before the answer came", endpoint=str(self._channel))

    def _end_all(self, error: Exception | None = None) -> None:
        """Nothing will be answered any more."""
        with self._lock:
            calls = self._calls.abandon()
            self._calls.errors += len(calls)
        for call in calls:
            call.end(error=self._closed_error() if error is None else error)

    # The socket, used by one thread at a time

    def _pump(self) -> None:
        """Send what is to be sent and take what has come, without waiting."""
        self._tend()
        self._receive()

    def _tend(self) -> None:
        """Send what is to be sent, and look after the rest."""
        now = time.monotonic()
        if now - self._looked > SLICE / 2:
            self._look(now)
        self._send(now)

    def _receive(self) -> None:
        """Take what has come."""
        while self._channel.readable() and (first := self._channel.try_receive()) is not None:
            self._take(first)

    def _look(self, now: float) -> None:
        """After connections that have ended, brokers that are silent, who refuses us, and calls whose time is over."""
        stood_still = now - self._looked > SLICE + STOOD_STILL
        self._looked = now
        try:
            self._channel.look()
        except AuthenticationError as error:
            self._end_all(error)
        connections = self._channel.connections
        with self._lock:
            if stood_still:
                self._calls.rest(now)
            missed = self._calls.misses_broker(now)
        if missed:
            self._receive()  # its words may have come while this thread waited for its turn
        with self._lock:
            if not self._calls.beat(now):
                self._channel.complaints.say("%s: nothing heard any more, connecting anew", self._channel)
                self._channel.reconnect_all()
            if connections.disconnects != self._lost:
                self._lost = connections.disconnects
                self._calls.send_again(now)
        self._expire(now)

    def _expire(self, now: float) -> None:
        with self._lock:
            expired = self._calls.expired(now)
        for call in expired:
            call.end(error=self._timeout_of(call))

    def _send(self, now: float) -> None:
        self._blocked = False
        while True:
            with self._lock:
                message = self._calls.next_message(now)
                if message is None:
                    return
                call, parts, copied = message
                if not self._channel.try_send(parts, copied):
                    self._blocked = True
                    return
                self._calls.sent(call)
                if not self._calls.anything_to_send(now):
                    return

    def _take(self, first: bytes) -> None:
        """A message whose first part is here already."""
        try:
            word = self._reader.read(first)
            if word.kind in ("result", "error"):
                self._answer(word, len(first))
            else:
                with self._lock:
                    self._calls.hear(word, time.monotonic())
        except DecodeError as error:
            self._calls.malformed += 1
            self._skipped(error)
        finally:
            if self._channel.more:
                self._channel.drop_rest()

    def _answer(self, word: Word, nbytes: int) -> None:
        with self._lock:
            call = self._calls.answered(word, self._looked)
        if call is not None:
            self._end(call, word.kind == "result", nbytes)
        elif self._borrower is not None:
            with contextlib.suppress(DecodeError):
                self._collect(self._channel.take_one(), None, nbytes)  # its sender is to hear that we have done with it

    def _end(self, call: Call, is_result: bool, nbytes: int) -> None:
        """The answer of ``call`` is here, and its word has been taken."""
        try:
            plan, parts, nbytes = self._fetch(self._channel.take_one(), nbytes)
            payload = plan.payload(parts)
            if is_result:
                self._calls.results += 1
                call.result_bytes = nbytes
                call.end(payload)
                return
            refused = Failure.read(call.method, payload)
            if _is_about_memory(call, refused) and self._ask_again(call):
                return
            error: BaseException = refused
        except DecodeError as problem:
            self._channel.drop_rest()
            if isinstance(problem, MemoryLost) and self._ask_again(call):
                return
            self._calls.malformed += 1
            error = problem
        self._calls.errors += 1
        call.end(error=error)

    def _ask_again(self, call: Call) -> bool:
        """Have a call sent once more whose memory, or that of its answer, could not be had: somebody has died, or stood
        still. Not for ever, as somebody may lie, too."""
        if call.losses >= _LOSSES or self._channel.closing:
            return False
        with self._lock:
            self._calls.again(call)
        return True


def _argument_at(path: str, form: int) -> str:
    """What the caller calls that place inside the payload."""
    inside = path.removeprefix("payload")
    if form == Form.ONE:
        return f"args[0]{inside}"
    if inside.startswith("[0]"):
        return f"args{inside[3:]}"
    return f"kwargs{inside[3:]}" if inside.startswith("[1]") else f"arguments{inside}"


def _is_about_memory(call: Call, error: RemoteError) -> bool:
    """Whether a call ended since its arguments, which lie in shared memory, could not be read there."""
    return call.parcel.lot is not None and error.type == DecodeError.__name__ and not error.traceback
