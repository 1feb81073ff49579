"""What a subscriber does, apart from how it waits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import zmq

from ..errors import DecodeError
from ..limits import Limits
from ..protocol.ledger import Ledger
from ..protocol.program import check_topic
from ..protocol.repeated import RepeatedCopies
from ..protocol.statistics import SubscriberStatistics
from ..protocol.tags import Mode, Word
from ..transport.addresses import Addresses
from ..transport.channel import Channel
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.ending import close_at_end
from ..transport.service import weakly
from .latest import Arrival, Latest
from .listening import Listening
from .receiving import Received, copy_into, messages_within

__all__ = ["MAX_MESSAGES", "WATCH", "Subscribing"]

MAX_MESSAGES = 256  # as for a consumer
WATCH = 0.25  # seconds without a message after which to look whether somebody has fallen silent

_SOME = 0x1F  # of the messages of a stream, those after which to look whatever else there is to do: one in 32

_LATEST_MESSAGES = 4  # that wait for the thread that takes them at once; where it cannot, newer ones are worth more


class Subscribing(Listening):
    """State and steps of a subscriber; the faces beside this add the waiting."""

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        topics: str | Iterable[str],
        latest: bool,
        max_age: float | None,
        max_messages: int,
        max_bytes: int | None,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None = None,
    ) -> None:
        if max_age is not None and not max_age > 0:
            raise ValueError(f"max_age={max_age!r}: expected seconds above 0, or None")
        max_messages = messages_within(max_messages, max_bytes, limits)
        if latest:
            max_messages = min(max_messages, _LATEST_MESSAGES)
        listed = topics if isinstance(topics, Iterable) and not isinstance(topics, str | bytes) else [topics]
        prefixes = list(dict.fromkeys(check_topic(topic) for topic in listed))
        mode = Mode.LATEST if latest else Mode.QUEUE
        self._open_frontend(channel, bind, connect, mode, len(prefixes), max_messages, limits, context, security)
        self._max_age = max_age
        self._ledger = Ledger()
        self._repeats = RepeatedCopies(self._copy_tag)
        self._kept: Arrival | None = None
        for prefix in prefixes:
            self._channel.subscribe(prefix, True)
        for prefix in prefixes:
            self._channel.subscribe(self._copy_tag + prefix, True)
        self._latest = None
        if latest:  # which must not keep us: a thread that goes on would never let go of who was forgotten
            self._latest = Latest(self._channel, weakly(self._take), weakly(self._open), weakly(self._watch))
        self._lock = self._latest.lock if self._latest is not None else contextlib.nullcontext()
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_ledger"):
            self._close_blocking()

    def _close_blocking(self) -> None:
        latest: Latest | None = getattr(self, "_latest", None)
        if latest is not None and not self._channel.closing and not self._channel.is_forked:
            self._channel.closing = True
            latest.stop()
        self._channel.close()
        self._kept = None
        self._stop_borrowing()

    def statistics(self) -> SubscriberStatistics:
        """What has been seen so far."""
        connections, ledger = self._channel.connections, self._ledger
        self._channel.check_not_forked()
        with self._lock:
            if not self.closed:
                connections.refresh()
            return SubscriberStatistics(
                received=ledger.total("received"),
                nbytes=ledger.nbytes,
                skipped=ledger.total("skipped"),
                stale=ledger.total("stale"),
                missed=ledger.total("missed"),
                malformed=ledger.malformed,
                duplicates=ledger.duplicates,
                streams=ledger.statistics(),
                connections=connections.count,
                disconnects=connections.disconnects,
                **refused(connections),
            )

    # What arrives

    def _receive(self, first: bytes, copy: bool, out: np.ndarray[Any, Any] | None) -> Received | None:
        """The message that begins with ``first``, opened and counted; None if it is none for the reader."""
        plainly = out is None and not copy and self._max_age is None and not self._channel.more
        if plainly and not self._speakers.doubted:
            received = self._repeat(first)  # as most that are small
            if received is not None:
                return received
        arrival = self._take(first)
        if arrival is None:
            return None
        received = self._open(arrival, copy, out)
        letter = arrival[0]
        if plainly and received is not None and letter.topic is not None:
            self._repeats.learn(first, letter.topic, letter.envelope, letter.plan, letter.nbytes)
        return received

    def _repeat(self, first: bytes) -> Received | None:
        """The same if it is all there in ``first``, and like one before; None if not, and then nothing has happened."""
        found = self._repeats.find(first)
        if found is None:
            return None
        repeat, content = found
        sequence = repeat.sequence
        if not self._ledger.open(repeat.source, repeat.topic, sequence).take(sequence):
            return None
        if not sequence & _SOME:
            self._watch()
        self._ledger.nbytes += repeat.size
        return repeat.build(content), repeat.topic, (repeat.source, sequence, repeat.sent_at), repeat.size

    def _take(self, first: bytes) -> Arrival | None:
        """The message that begins with ``first``, taken off the channel; None if it is none for the reader.

        DecodeError if it cannot be read; it is gone and counted.
        """
        channel = self._channel
        try:
            opening = self._opening(first)
            if opening is None:
                channel.drop_rest()
                return None
            topic, metadata, buffer = opening
            letter = self._collect(metadata, topic, len(topic), buffer)
        except DecodeError:
            channel.drop_rest()
            self._ledger.malformed += 1
            raise
        if letter.envelope is not None:
            source, sequence, _ = letter.envelope
            stream = self._ledger.open(source, topic, sequence)
        else:
            stream = self._ledger.open("", topic, 0)
            sequence = stream.following
        if not sequence & _SOME:
            self._watch()
        if stream.note(sequence):
            return letter, stream
        self._ledger.duplicates += 1
        return None

    def _heed(self, word: Word) -> None:
        for source, topic, following, began in word.positions:
            self._ledger.open(source, topic, began).stand(following)

    # What is handed out

    def _take_kept(self, copy: bool, out: np.ndarray[Any, Any] | None) -> Received | None:
        """What did not fit into the last ``out``; None without such."""
        if self._kept is None:
            return None
        arrival, self._kept = self._kept, None
        return self._open(arrival, copy, out)

    def _open(self, arrival: Arrival, copy: bool, out: np.ndarray[Any, Any] | None) -> Received | None:
        """The message, counted; None if it is too old. One that does not fit into ``out`` is kept."""
        letter, stream = arrival
        envelope = letter.envelope
        if self._max_age is not None and envelope is not None and time.time() - envelope[2] > self._max_age:
            stream.waiting -= 1
            stream.stale += 1
            return None
        try:
            payload = letter.plan.payload(letter.parts, copy)
        except DecodeError:
            stream.waiting -= 1
            stream.missed += 1
            self._ledger.malformed += 1
            raise
        if out is not None:
            try:
                copy_into(out, payload)
            except Exception:
                self._kept = arrival
                raise
            payload = out
        stream.waiting -= 1
        stream.received += 1
        self._ledger.nbytes += letter.nbytes
        return payload, letter.topic, envelope, letter.nbytes
