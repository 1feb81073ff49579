"""What a broker does: two sockets, a thread between them, and the books that say what goes where."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import zmq

from ..codec.cuts import most_parts
from ..codec.decoder import BareDecoder
from ..codec.encoder import Encoder
from ..errors import AddressError, DecodeError, LimitExceeded, Timeout
from ..limits import DEFAULT_LIMITS, Limits
from ..log import warn
from ..memory.allocator import keep_freed_memory
from ..protocol.failure import Failure
from ..protocol.jobs import Jobs
from ..protocol.records import Out
from ..protocol.statistics import BrokerStatistics
from ..protocol.words import PREFIX, Reader, Word, Writer, check_interval
from ..transport.addresses import Addresses
from ..transport.channel import Channel, check_positive
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.ending import close_at_end, read_linger
from ..transport.service import Service
from ..transport.steps import STOOD_STILL, Need, Steps
from .brokerside import Side
from .endpoint import Single

__all__ = ["Brokering"]

MAX_MESSAGES = 10_000
MAX_BYTES = 2**30
INTERVAL = 1.0
LINGER = 5.0
_BATCH = 64  # messages of one side between two looks at the other
_LARGE = 32 * 1024

_MIXED_UP = {
    ("a client", "ready"): "it is a worker, and this is the frontend: workers connect to the backend",
    ("a worker", "call"): "it is a client, and this is the backend: clients connect to the frontend",
}


class Brokering(Single):
    """The state and the thread of a broker; the faces beside this add the waiting."""

    def __init__(
        self,
        *,
        frontend: Addresses = None,
        backend: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        interval: float = INTERVAL,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
        frontend_security: Curve | None = None,
        backend_security: Curve | None = None,
    ) -> None:
        check_positive(max_messages=max_messages, max_bytes=max_bytes)
        check_interval(interval)
        self._limits, self._linger, self._interval = limits, read_linger(linger), interval
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._closing = False
        self._jobs = Jobs(os.urandom(8).hex(), interval, max_messages, max_bytes, time.monotonic())
        self._reader, self._writer = Reader(), Writer()
        self._encoder, self._decoder = Encoder(limits), BareDecoder(limits)
        self._malformed = 0
        self._ticked = time.monotonic()
        self._clients = Side("frontend", frontend, self._jobs, limits, context, frontend_security or security)
        try:
            self._workers = Side("backend", backend, self._jobs, limits, context, backend_security or security)
        except BaseException:
            self._clients.channel.destroy()
            raise
        try:
            _check_alike(self._clients.channel, self._workers.channel)
        except AddressError:
            for side in (self._clients, self._workers):
                side.channel.destroy()
            raise
        descriptors = [self._clients.channel.descriptor, self._workers.channel.descriptor]
        self._service = Service(f"broker at {self._clients.channel}", descriptors, self._work, self._on_error)
        close_at_end(self)

    def __repr__(self) -> str:
        closed = " closed" if self.closed else ""
        return f"<{type(self).__name__} frontend={self._clients.channel} backend={self._workers.channel}{closed}>"

    @property
    def frontend(self) -> str:
        """The first address for clients, with the port that the system chose for ``tcp://*:0``."""
        return self._clients.channel.addresses[0]

    @property
    def backend(self) -> str:
        """The first address for workers."""
        return self._workers.channel.addresses[0]

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._clients.channel.closed

    def statistics(self) -> BrokerStatistics:
        """What has been done so far."""
        self._clients.channel.check_not_forked()
        with self._lock:
            return self._statistics()

    def _statistics(self) -> BrokerStatistics:
        connections = [side.channel.connections for side in (self._clients, self._workers)]
        for each in connections:
            each.refresh()
        undelivered = self._clients.undelivered + self._workers.undelivered
        return replace(self._jobs.statistics(self._malformed, undelivered), **refused(*connections))

    def _on_error(self) -> None:
        self._ended.set()  # whoever serves hears of it

    # The thread

    def _work(self) -> bool:
        more = True
        while more and not self._closing:
            with self._lock:
                for side in (self._workers, self._clients):
                    side.take_note()
                spoke = self._move(self._workers, self._from_worker)  # who frees slots goes first
                more = self._move(self._clients, self._from_client) or spoke
                # Behind what has come: who spoke while this thread waited for its turn was not silent, and who has left
                # may have finished its task before.
                self._look(all_heard=not spoke)
                self._hand_out()
        return not any(side.backlog for side in (self._clients, self._workers))

    def _look(self, *, all_heard: bool) -> None:
        """After who has left, and after the time. ``all_heard``: whether workers have been listened to to the end."""
        now = time.monotonic()
        if now - self._ticked < min(0.05, self._interval / 10):
            return
        if now - self._ticked > self._interval + STOOD_STILL:
            self._jobs.rest(now)
        self._ticked = now
        if all_heard:
            self._bury()
        self._jobs.tick(now)

    def _bury(self) -> None:
        unreachable, self._workers.unreachable = self._workers.unreachable, []
        for peer, task in unreachable:
            self._jobs.worker_unreachable(peer, task)
        gone = list(self._workers.departed())
        if gone:
            self._jobs.worker_gone(*gone)
        for peer in self._clients.departed():
            self._jobs.client_gone(peer)

    def _move(self, side: Side, take: Any) -> bool:
        """Take some messages of one side; whether there may be more."""
        channel = side.channel
        for _ in range(_BATCH):
            if not channel.readable():
                return False
            peer = channel.try_receive()
            if peer is None:
                return False
            try:
                head, connection = channel.take_word()
                word = self._reader.read(head)
                if side.is_new(peer, connection):
                    side.take_note()  # or the end of the connection that had this number before would be its own
                    self._bury()
                    side.place(peer, connection)  # type: ignore[arg-type]
                frames, nbytes = self._frames(channel, len(head))
                take(peer, word, frames, nbytes, time.monotonic())
            except DecodeError as error:
                self._malformed += 1
                channel.complaints.say("%s: skipped a message: %s", channel, error)
            finally:
                if channel.more:
                    channel.drop_rest()
        return True

    def _frames(self, channel: Channel, nbytes: int) -> tuple[list[Any], int]:
        if not channel.more:
            return [], nbytes
        most = most_parts(self._limits) + 1
        frames = channel.take(most, False)
        nbytes += sum(map(len, frames))
        if len(frames) > most:
            raise LimitExceeded.over("max_parts", most - 1, f"{len(frames) - 1} or more")
        if nbytes > self._limits.max_total_bytes:
            raise LimitExceeded.over("max_total_bytes", self._limits.max_total_bytes, nbytes)
        if nbytes > _LARGE:
            keep_freed_memory()
        return frames, nbytes

    def _from_client(self, peer: bytes, word: Word, frames: Sequence[Any], nbytes: int, now: float) -> None:
        if word.kind == "call" and word.fields[0].startswith(PREFIX):
            self._tell(peer, word)
        elif word.kind in ("call", "cancel", "alive"):
            self._jobs.client_says(peer, word, frames, nbytes, now)
        else:
            raise _unexpected(word, "a client")

    def _tell(self, peer: bytes, word: Word) -> None:
        """Answer what is asked of the broker itself."""
        name = word.fields[0].removeprefix(PREFIX)
        head = self._writer.about(word.number, "result")
        if name == "methods":
            payload: Any = self._jobs.methods
        elif name == "broker":
            payload = asdict(self._statistics())
        else:
            head = self._writer.about(word.number, "error")
            text = f"there is no {word.fields[0]}; there are {PREFIX}methods and {PREFIX}broker"
            payload = Failure("UnknownMethod", text).payload()
        self._jobs.out.append(Out(False, peer, head, self._encoder.encode(payload)))

    def _from_worker(self, peer: bytes, word: Word, frames: Sequence[Any], nbytes: int, now: float) -> None:
        if word.kind == "ready":
            methods = self._decoder.decode(frames)
            texts = isinstance(methods, dict) and all(type(each) is str for pair in methods.items() for each in pair)
            if not texts:
                raise DecodeError.of("methods", expected="names and signatures", found=f"{methods!r:.80}")
            self._jobs.worker_ready(peer, word, methods, now)
        elif word.kind in ("beat", "done", "failed", "returned", "leaving", "goodbye"):
            self._jobs.worker_says(peer, word, frames, now)
        else:
            raise _unexpected(word, "a worker")

    # What is handed out

    def _hand_out(self) -> None:
        out = self._jobs.out
        for side in (self._clients, self._workers):
            if side.backlog:
                side.catch_up()
        while out:
            message = out.popleft()
            side = self._workers if message.to_worker else self._clients
            if message.peer in side.backlog:
                side.backlog[message.peer].append(message)
            elif not side.try_send(message):
                side.backlog[message.peer] = deque([message])

    # The end

    def __del__(self) -> None:
        if hasattr(self, "_service"):
            self._close_blocking()

    def _begin_to_close(self) -> bool:
        channel = self._clients.channel
        if channel.is_forked or channel.closed or self._jobs.draining:
            return False
        with self._lock:
            self._jobs.draining = True
        return True

    def _close_blocking(self, linger: float | None = None) -> int:
        if not self._begin_to_close():
            return 0
        with contextlib.suppress(Timeout):
            self._clients.channel.go_on(self._ending(), self._linger if linger is None else linger)
        return self._destroy()

    def _ending(self) -> Steps[None]:
        """Until no task is left, and every client has read its answers."""
        while (len(self._jobs) or self._clients.backlog) and not self._ended.is_set():
            yield Need.SETTLED
        self._stop()
        if self._jobs.begun:
            yield from self._clients.channel.answering()

    def _stop(self) -> None:
        self._closing = True
        self._service.stop()

    def _destroy(self) -> int:
        self._stop()
        left = len(self._jobs)
        if left:
            warn("%s: closed with %d tasks undone, which their clients keep", self._clients.channel, left)
        for side in (self._clients, self._workers):
            side.channel.destroy()
        self._ended.set()
        return left


def _check_alike(clients: Channel, workers: Channel) -> None:
    """AddressError where one side would be given what lies in shared memory that it does not reach."""
    folders = {os.path.realpath(folder) for folder in [*clients.folders, *workers.folders]}
    if folders and not (clients.is_shared and workers.is_shared and len(folders) == 1):
        raise AddressError(
            f"{clients}, {workers}: what lies in shared memory is passed on unopened, so either all addresses of a "
            "broker are shm:// with one folder, or none is; use ipc:// on the side of this host, or a second broker",
            address=f"{clients}, {workers}",
        )


def _unexpected(word: Word, whom: str) -> DecodeError:
    hint = _MIXED_UP.get((whom, word.kind), "")
    return DecodeError.of("word", expected=f"one of {whom}", found=word.kind, hint=hint)
