"""What a proxy does: subscribes to what its subscribers want, and distributes what comes, unopened."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import zmq

from .addresses import Addresses
from .broadcasting import LINGER, MAX_BYTES, MAX_MESSAGES, Broadcasting
from .channel import Channel
from .errors import DecodeError
from .limits import DEFAULT_LIMITS, Limits
from .log import warn
from .protocol.message import ProxyStatistics
from .protocol.program import Parcel, check_topic
from .protocol.relay import Line, Relay
from .protocol.speakers import Speakers
from .protocol.tags import LEAD, LONGEST, Kind, Mode, Word, read_tag, self_tag, tag
from .receiving import Letter, Receiving
from .subscribing import SUBSCRIBER_OPTIONS

__all__ = ["Proxying"]

_BATCH = 64  # messages between two looks at who has come and gone
_HELD = 16  # messages that wait here for this thread, which never waits for anybody


class Proxying(Broadcasting, Receiving):
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
    ) -> None:
        self._relay = Relay()
        self._ended = threading.Event()
        self._speakers = Speakers()
        self._number = os.urandom(8)
        self._asked: set[bytes] = set()
        self._version = -1
        self._open_backend(self._relay, backend, connect_backend, max_messages, max_bytes, retain, linger, context)
        try:
            opened = Channel(
                zmq.SUB,
                frontend,
                connect_frontend,
                max_messages=min(max_messages, _HELD),
                max_part_bytes=limits.max_total_bytes,
                options=SUBSCRIBER_OPTIONS,
                context=context,
            )
        except BaseException:
            self._backend.destroy()
            raise
        self._set_up_receiving(opened, limits)
        self._channel.subscribe(self_tag(self._number, Mode.RELAY, 0), True)
        self._start("proxy", self._channel.descriptor, self._backend.descriptor)

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
                bytes_in_flight=self._distributor.leases.nbytes,
                subscribers=self._distributor.states(),
                publishers=self._channel.connections.count,
            )

    def _on_error(self) -> None:
        self._ended.set()  # whoever serves hears of it

    def _work(self) -> bool:
        with self._lock:
            self._distributor.work(time.monotonic())
            self._ask()
            for connection in self._speakers.silent(time.monotonic()):
                self._channel.reconnect(connection)
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
            wanted |= {prefix, tag(Kind.COPY, self._number, prefix)}
        for prefix in sorted(wanted - self._asked):  # tags last
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
                    warn("%s: skipped a message: %s", self._channel, error)
                finally:
                    self._channel.drop_rest()
        return True

    def _take(self, first: bytes) -> None:
        if first and 0x80 <= first[0] <= 0x8F:
            self._pass_on(b"", first)
            return
        topic = first
        if first[:1] == bytes([LEAD]):
            hello = read_tag(first)
            if hello is None or hello.number != self._number:
                return
            if hello.kind is Kind.SELF:
                self._heed()
                return
            topic = hello.rest
        if len(topic) > LONGEST:
            raise DecodeError.of("topic", expected=f"at most {LONGEST} bytes", found=f"{len(topic)}")
        try:
            topic.decode()
        except UnicodeDecodeError:
            raise DecodeError.of("topic", expected="a text in UTF-8", found=f"{topic[:24]!r}") from None
        metadata, connection = self._channel.take_word()
        if self._speakers.doubted:
            self._speakers.lives(connection, time.monotonic())
        self._pass_on(topic, metadata)

    def _heed(self) -> None:
        document, connection = self._channel.take_word()
        word = Word.unpack(document)
        if connection is not None:
            self._speakers.heard(connection, word.interval, time.monotonic())
        for source, topic, following, first in word.positions:
            line = self._relay.line(check_topic(topic))
            if line.note(source, following, first):
                self._distributor.announce(line)

    def _pass_on(self, topic: bytes, metadata: bytes) -> None:
        relay = self._relay
        letter = self._collect(metadata, None, len(topic))
        line = relay.line(topic)
        if letter.envelope is not None and not line.note(
            letter.envelope[0], letter.envelope[1] + 1, letter.envelope[1]
        ):
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

    def _parcel(self, line: Line, metadata: bytes, letter: Letter) -> Parcel:
        frames: list[Any] = [metadata]
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
        super()._destroy()
        self._ended.set()
