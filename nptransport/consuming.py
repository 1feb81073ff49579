"""What a consumer does, apart from how it waits."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import zmq

from .addresses import Addresses
from .channel import Channel
from .codec import is_topic, read_topic
from .connections import refused
from .curve import Curve
from .ending import close_at_end
from .errors import DecodeError
from .limits import Limits
from .protocol.inbox import Inbox
from .protocol.message import ConsumerStatistics
from .receiving import Letter, Received, Receiving, copy_into, messages_within

__all__ = ["MAX_MESSAGES", "Consuming"]

# Enough to keep small messages flowing (0.8 of pyzmq at 1 KB, 64 only 0.66), few enough to hold as frames of a camera:
# 1.6 GB in full HD, where ZeroMQ's own 1000 are 6. It cannot follow the size of the messages: libzmq may stop a
# connection for ever if its high-water mark is changed while data flows.
MAX_MESSAGES = 256

_SOME = 0x3FF  # messages after which to take in who has come and gone: it is kept for us until we do


class Consuming(Receiving):
    """State and steps of a consumer; the faces beside this add the waiting."""

    _channel: Channel

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        max_bytes: int | None,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None = None,
    ) -> None:
        opened = channel(
            zmq.PULL,
            bind,
            connect,
            max_messages=messages_within(max_messages, max_bytes, limits),
            max_part_bytes=limits.max_total_bytes,
            context=context,
            security=security,
        )
        self._set_up_receiving(opened, limits)
        self._inbox = Inbox()
        self._kept: deque[Letter] = deque()
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_channel"):
            self._close_blocking()

    def _close_blocking(self) -> None:
        self._channel.close()
        self._kept.clear()
        self._stop_borrowing()

    def statistics(self) -> ConsumerStatistics:
        """What has been seen so far."""
        connections, inbox = self._channel.connections, self._inbox
        if not self.closed:
            connections.refresh()
        return ConsumerStatistics(
            messages=inbox.messages,
            nbytes=inbox.nbytes,
            missed=inbox.missed,
            malformed=inbox.malformed,
            connections=connections.count,
            disconnects=connections.disconnects,
            **refused(connections),
        )

    def _open(self, first: bytes | None, copy: bool, out: np.ndarray[Any, Any] | None) -> Received:
        """The message that begins with the part ``first``; the one that was kept longest, if that is None."""
        letter = self._kept.popleft() if first is None else self._read(first)
        try:
            payload = letter.plan.payload(letter.parts, copy)
        except DecodeError:
            self._inbox.malformed += 1
            raise
        if out is not None:
            try:
                copy_into(out, payload)
            except DecodeError:
                self._kept.append(letter)
                raise
            payload = out
        self._inbox.received(letter.envelope, letter.nbytes)
        if not self._inbox.messages & _SOME:
            self._channel.connections.refresh()
        return payload, letter.topic, letter.envelope, letter.nbytes

    def _read(self, first: bytes) -> Letter:
        """All parts of the message that begins with ``first``."""
        channel, topic, nbytes = self._channel, None, 0
        try:
            if is_topic(first):
                topic, nbytes, first = read_topic(first), len(first), channel.take_one()
            return self._collect(first, topic, nbytes)
        except DecodeError:
            channel.drop_rest()
            self._inbox.malformed += 1
            raise

    def _skipped(self, error: DecodeError) -> None:
        self._channel.complaints.say("%s: skipped a message: %s", self._channel, error)
