"""What a proxy does: subscribes to what its subscribers want, and distributes what comes, unopened."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import zmq

from .addresses import Addresses
from .channel import Channel, check_positive
from .distributing import Distributor
from .ending import close_at_end
from .errors import DecodeError, Timeout
from .limits import Limits
from .log import warn
from .memory.leases import Leases
from .protocol.message import ProxyStatistics
from .protocol.program import Parcel, check_topic
from .protocol.relay import Line, Relay
from .protocol.speakers import Speakers
from .protocol.tags import LEAD, LONGEST, Kind, Mode, Word, read_tag, self_tag, tag
from .publishing import NOTICE_BYTES, PUBLISHER_OPTIONS
from .receiving import Letter, Receiving
from .service import Service, weakly
from .steps import Need, Steps
from .subscribing import SUBSCRIBER_OPTIONS

__all__ = ["Proxying"]

_BATCH = 64  # messages between two looks at who has come and gone
_HELD = 16  # messages that wait here for this thread, which never waits for anybody
_SMALL = 32 * 1024  # up to here libzmq copies


class Proxying(Receiving):
    """A thread, and the two channels that it moves messages between; the faces beside this add the waiting."""

    def _set_up(
        self,
        frontend: Addresses,
        backend: Addresses,
        connect_frontend: Addresses,
        connect_backend: Addresses,
        max_messages: int,
        max_bytes: int,
        retain: int,
        limits: Limits,
        linger: float,
        context: zmq.Context[Any] | None,
    ) -> None:
        check_positive(max_messages=max_messages, max_bytes=max_bytes)
        if retain not in (0, 1):
            raise ValueError(f"retain={retain!r}: expected 0, or 1 to keep the last message of each topic")
        self._retain, self._linger = retain, linger
        max_bytes = int(max_bytes)
        opened = Channel(
            zmq.SUB,
            frontend,
            connect_frontend,
            max_messages=min(max_messages, _HELD),
            max_part_bytes=limits.max_total_bytes,
            options=SUBSCRIBER_OPTIONS,
            context=context,
        )
        self._set_up_receiving(opened, limits)
        try:
            self._backend = Channel(
                zmq.XPUB,
                backend,
                connect_backend,
                max_messages=max_messages,
                max_part_bytes=NOTICE_BYTES,
                options=PUBLISHER_OPTIONS,
                context=context,
            )
        except BaseException:
            opened.destroy()
            raise
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self._relay = Relay()
        self._small = min(_SMALL, max_bytes // (8 * max_messages))
        self._leases = Leases(max_bytes - self._small * max_messages)
        self._distributor = Distributor(self._backend, self._leases, self._relay)
        self._distributor.on_return = weakly(self._on_return)
        self._speakers = Speakers()
        self._number = os.urandom(8)
        self._asked: set[bytes] = set()
        self._version = -1
        self._channel.subscribe(self_tag(self._number, Mode.RELAY, 0), True)
        descriptors = [self._channel.descriptor, self._backend.descriptor]
        self._service = Service(f"proxy at {self._backend}", descriptors, self._work, self._on_error)
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_service"):
            self._close_blocking()

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
                bytes_in_flight=self._leases.nbytes,
                subscribers=self._distributor.states(),
                publishers=self._channel.connections.count,
            )

    def _on_error(self) -> None:
        self._ended.set()  # whoever serves hears of it

    def _on_return(self) -> None:
        if self._distributor.anyone_behind:
            self._service.wake()

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
            if line.retained is not None:
                self._leases.exempt(line.retained.frames, False)
            line.retained = parcel
            self._leases.exempt(parcel.frames, True)

    def _parcel(self, line: Line, metadata: bytes, letter: Letter) -> Parcel:
        frames: list[Any] = [metadata]
        large = 0
        for part in letter.parts:
            if len(part) > self._small:
                large += len(part)
                frames.append(self._leases.lend(memoryview(part), None))
            else:
                frames.append(bytes(part))
        return Parcel(line.name, frames, large)

    # The end

    def _begin_to_close(self) -> bool:
        if self._channel.is_forked:
            return False
        with self._lock:
            if self._channel.closing:
                return False
            self._channel.closing = self._backend.closing = True
        self._service.stop()
        return True

    def _close_blocking(self, linger: float | None = None) -> int:
        if not self._begin_to_close():
            return 0
        try:
            self._backend.go_on(self._ending(), self._linger if linger is None else linger)
            return 0
        except Timeout as timeout:
            return self._report(str(timeout))
        finally:
            self._destroy()

    def _ending(self) -> Steps[None]:
        """Until every subscriber has read what it was sent."""
        while not self._distributor.part():
            yield Need.RELEASED
        if self._backend.within_process or not self._backend.connections.refresh():
            return
        yield from self._backend.draining()
        yield from self._backend.parting()

    def _report(self, why: str) -> int:
        count = self._distributor.waiting()
        warn("%s: closed with %d or more messages not known to have arrived, %s", self._backend, count, why)
        return count

    def _destroy(self) -> None:
        self._channel.destroy()
        self._backend.destroy()
        self._ended.set()
