"""What a consumer does, apart from how it waits."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import zmq

from .addresses import Addresses
from .channel import Channel, check_positive
from .codec import Decoder, Plan, read_topic
from .ending import close_at_end
from .envelope import Envelope
from .errors import DecodeError
from .limits import Limits
from .log import warn
from .protocol.inbox import Inbox
from .protocol.message import ConsumerStatistics

__all__ = ["MAX_MESSAGES", "Consuming"]

_Letter = tuple[Plan, list[Any], str | None, Envelope | None, int]  # what to expect, parts, topic, envelope, bytes
_Received = tuple[Any, str | None, Envelope | None, int]  # payload, topic, envelope, bytes

# Enough to keep small messages flowing, few enough to hold as frames of a camera: 400 MB in full HD. It cannot follow
# the size of the messages: libzmq may stop a connection for ever if its high-water mark is changed while data flows.
MAX_MESSAGES = 64

# Below this, bytes are the cheaper and always aligned way to take a part from libzmq.
_SMALL = 32 * 1024


class Consuming:
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
    ) -> None:
        if max_bytes is not None:
            check_positive(max_bytes=max_bytes)
            max_messages = min(max_messages, max(1, max_bytes // limits.max_total_bytes))
        check_positive(max_messages=max_messages)
        self._channel = channel(
            zmq.PULL,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=limits.max_total_bytes,
            context=context,
        )
        self._decoder = Decoder(limits)
        self._inbox = Inbox()
        self._kept: deque[_Letter] = deque()
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_channel"):
            self._close_blocking()

    def _close_blocking(self) -> None:
        self._channel.close()

    @property
    def addresses(self) -> list[str]:
        """The addresses, with the port that the system chose for ``tcp://*:0``."""
        return self._channel.addresses

    @property
    def address(self) -> str:
        """The first of them."""
        return self._channel.addresses[0]

    @property
    def closed(self) -> bool:
        """Whether it can be used no more."""
        return self._channel.closed

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
        )

    def _open(self, first: bytes | None, copy: bool, out: np.ndarray[Any, Any] | None) -> _Received:
        """The message that begins with the part ``first``; the one that was kept longest, if that is None."""
        letter = self._kept.popleft() if first is None else self._collect(first)
        plan, parts, topic, envelope, nbytes = letter
        try:
            payload = plan.payload(parts, copy)
        except DecodeError:
            self._inbox.malformed += 1
            raise
        if out is not None:
            try:
                _copy_into(out, payload)
            except DecodeError:
                self._kept.append(letter)
                raise
            payload = out
        self._inbox.received(envelope, nbytes)
        return payload, topic, envelope, nbytes

    def _collect(self, first: bytes) -> _Letter:
        """All parts of the message, as the first, or the one behind a topic, says that they are."""
        channel, topic, nbytes = self._channel, None, 0
        try:
            if not first or not 0x80 <= first[0] <= 0x8F:
                topic, nbytes, first = read_topic(first), len(first), channel.take_one()
            plan, envelope = self._decoder.plan(first)
            if plan.alone is not None and plan.nbytes <= _SMALL and channel.more:  # as most messages are
                parts = [channel.take_one()]
                if channel.more:
                    parts += channel.take(0, True)
            else:
                parts = channel.take(len(plan.layouts), plan.nbytes <= _SMALL)
        except DecodeError:
            channel.drop_rest()
            self._inbox.malformed += 1
            raise
        nbytes += len(first) + (plan.nbytes if plan.alone else sum(map(len, parts)))
        return plan, parts, topic, envelope, nbytes

    def _skipped(self, error: DecodeError) -> None:
        warn("%s: skipped a message: %s", self._channel, error)


def _copy_into(out: np.ndarray[Any, Any], payload: Any) -> None:
    fits = type(payload) is np.ndarray and payload.shape == out.shape and payload.dtype == out.dtype
    if not fits or not out.flags.writeable:
        found = f"{payload.dtype} {list(payload.shape)}" if isinstance(payload, np.ndarray) else type(payload).__name__
        raise DecodeError.of(
            "message",
            expected=f"a writable {out.dtype} {list(out.shape)} as out asks for",
            found=found,
            hint="it is kept: the next recv() gives it",
        )
    np.copyto(out, payload)
