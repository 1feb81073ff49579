"""What a proxy does: subscribes to what its subscribers want, and distributes what comes, unopened."""

from __future__ import annotations

import threading
import time
from typing import Any

import zmq

from ..codec.metadata import without_shared
from ..codec.plan import Plan
from ..errors import DecodeError
from ..limits import DEFAULT_LIMITS, Limits
from ..memory.allocator import keep_freed_memory
from ..protocol.program import Parcel, check_topic
from ..protocol.relay import Line, Relay
from ..protocol.statistics import ProxyStatistics
from ..protocol.tags import Kind, Mode, Word, tag
from ..transport.addresses import Addresses
from ..transport.channel import Channel
from ..transport.connections import refused
from ..transport.curve import Curve
from .broadcasting import LINGER, MAX_BYTES, MAX_MESSAGES, Broadcasting
from .listening import Listening
from .receiving import Letter

__all__ = ["Proxying"]

_BATCH = 64  # messages between two looks at who has come and gone
_HELD = 16  # messages that wait here for this thread, which never waits for anybody


class Proxying(Broadcasting, Listening):
    """A thread, and the two channels that it moves messages between; the faces beside this add the waiting."""

    def __init__(
        self,
        *,
        frontend: Addresses = None,
        backend: Addresses = None,
        connect_frontend: Addresses = None,
        connect_backend: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        retain: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
        frontend_security: Curve | None = None,
        backend_security: Curve | None = None,
    ) -> None:
        self._relay = Relay()
        self._ended = threading.Event()
        self._asked: set[bytes] = set()
        self._version = -1
        before, behind = frontend_security or security, backend_security or security
        names = "backend", "connect_backend"
        self._open_backend(
            self._relay, backend, connect_backend, max_messages, max_bytes, retain, linger, context, behind, names
        )
        try:
            held, names = min(max_messages, _HELD), ("frontend", "connect_frontend")
            self._open_frontend(
                Channel, frontend, connect_frontend, Mode.RELAY, 0, held, limits, context, before, names
            )
        except BaseException:
            self._backend.destroy()
            raise
        self._start("proxy", self._channel.descriptor, self._backend.descriptor)

    def __repr__(self) -> str:
        closed = " closed" if self.closed else ""
        return f"<{type(self).__name__} frontend={self._channel} backend={self._backend}{closed}>"

    @property
    def frontend(self) -> str:
        """The first address for publishers, with the port that the system chose for ``tcp://*:0``."""
        return self._channel.addresses[0]

    @property
    def backend(self) -> str:
        """The first address for subscribers."""
        return self._backend.addresses[0]

    def statistics(self) -> ProxyStatistics:
        """What has been done so far."""
        self._channel.check_not_forked()
        with self._lock:
            audience, relay = self._distributor.audience, self._relay
            if not self._channel.closing:
                self._channel.connections.refresh()
                self._backend.connections.refresh()
            return ProxyStatistics(
                messages=relay.messages,
                nbytes=relay.nbytes,
                malformed=relay.malformed,
                duplicates=relay.duplicates,
                **audience.losses(),
                bytes_in_flight=self._distributor.nbytes,
                subscribers=self._distributor.states(),
                publishers=self._channel.connections.count,
                **refused(self._channel.connections, self._backend.connections),
            )

    def _on_error(self) -> None:
        self._ended.set()  # whoever serves hears of it

    def _work(self) -> bool:
        with self._lock:
            self._distributor.work(time.monotonic())
            self._ask()
            self._watch()
        self._channel.complaints.settle()
        while not self._channel.closing and self._move():
            with self._lock:
                self._distributor.attend()
                self._ask()
        return True

    # Upstream

    def _ask(self) -> None:
        """Subscribe to what is wanted here, and tell of those who want it, so that publishers can count them."""
        audience = self._distributor.audience
        if audience.version == self._version:
            return
        self._version = audience.version
        wanted = {tag(Kind.BEHIND, number, prefix) for number, prefix in audience.hidden()}
        prefixes = audience.prefixes() | ({b""} if self._retain else set())  # what is retained has to come first
        for prefix in prefixes:
            wanted |= {prefix, self._copy_tag + prefix}
        # Copies first: what they are copies of would be counted as a plain subscriber's. Who is behind, last.
        for prefix in sorted(wanted - self._asked, key=lambda each: (not each.startswith(self._copy_tag), each)):
            self._channel.subscribe(prefix, True)
        for prefix in self._asked - wanted:
            self._channel.subscribe(prefix, False)
        if self._asked - wanted:
            self._relay.forget(prefixes)
        self._asked = wanted

    def _move(self) -> bool:
        """Hand some messages on; whether there may be more."""
        for _ in range(_BATCH):
            first = self._channel.try_receive()
            if first is None:
                return False
            with self._lock:
                try:
                    self._take(first)
                except DecodeError as error:
                    self._relay.malformed += 1
                    self._skipped(error)
                finally:
                    self._channel.drop_rest()
        return True

    def _take(self, first: bytes) -> None:
        opening = self._opening(first)
        if opening is not None:
            self._pass_on(*opening)

    def _heed(self, word: Word) -> None:
        for source, topic, following, began in word.positions:
            line = self._relay.line(check_topic(topic))
            if line.note(source, following, began):
                self._distributor.announcer.announce(line)

    def _pass_on(self, topic: str, metadata: bytes, buffer: bytes | None) -> None:
        relay = self._relay
        letter = self._collect(metadata, None, len(topic), buffer)
        line = relay.line(topic.encode())
        if letter.envelope is not None:
            source, sequence, _ = letter.envelope
            if not line.note(source, sequence + 1, sequence):
                relay.duplicates += 1
                return
        relay.messages += 1
        relay.nbytes += letter.nbytes
        self._distributor.audience.direct(line)
        parcel = self._parcel(line, metadata, letter)
        if parcel.large and not self._distributor.has_room(line, parcel.large, leased=True):
            self._distributor.refuse_all(line)
        else:
            self._distributor.distribute(line, parcel)
        if self._retain:
            self._distributor.retain(line, parcel)

    def _collect_cut(self, plan: Plan, cut: list[int], buffer: bytes | None) -> list[Any]:
        """The parts as they came: they are put together where they are read."""
        keep_freed_memory()
        parts = self._channel.take(plan.count, False)
        return parts if buffer is None else [buffer, *parts]

    def _parcel(self, line: Line, metadata: bytes, letter: Letter) -> Parcel:
        frames: list[Any] = [without_shared(metadata)]
        large = 0
        for part in letter.parts:
            if len(part) > self._distributor.small:
                large += len(part)
                frames.append(self._distributor.leases.lend(memoryview(part), None))
            else:
                frames.append(bytes(part))
        return Parcel(line.name, frames, large)

    # The end

    def _mark_closing(self) -> None:
        super()._mark_closing()
        self._channel.closing = True

    def _destroy(self) -> None:
        self._channel.destroy()
        self._stop_borrowing()
        super()._destroy()
        self._ended.set()
