"""What a consumer does, apart from how it waits."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import zmq

from ..codec.descriptor import KEY, Place
from ..codec.framing import MOST_AROUND, SIGNATURE, is_blob
from ..codec.metadata import is_topic, read_topic
from ..codec.plan import Plan
from ..codec.repeats import Repeat, Repeats, changed
from ..errors import ConnectionClosed, DecodeError, MisuseError
from ..limits import Limits
from ..log import warn
from ..protocol.inbox import Inbox
from ..protocol.statistics import ConsumerStatistics
from ..shm.borrowing import Borrower
from ..transport.addresses import Addresses
from ..transport.channel import Channel
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.ending import close_at_end
from .receiving import SMALL, Letter, Received, Receiving, copy_into, messages_within

__all__ = ["MAX_MESSAGES", "Consuming"]

# Enough to keep small messages flowing (at 1 KB nine tenths of what 64 carry; 16 carry eight), few enough to hold as
# frames of a camera: 0.2 GB in full HD, where the 1000 of ZeroMQ are 6. It cannot follow the size of messages: libzmq
# may stop a connection for ever if its high-water mark is changed while data flows.
MAX_MESSAGES = 32

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
            max_part_bytes=limits.max_total_bytes + MOST_AROUND,
            context=context,
            security=security,
        )
        self._lanes = opened.open_lanes()
        opened.whole = SIGNATURE
        self._set_up_receiving(opened, limits)
        self._inbox = Inbox()
        self._repeats = Repeats()
        self._kept: deque[Letter] = deque()
        self._unread = 0
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_channel"):
            self._close_blocking()

    def _close_blocking(self) -> int:
        if self._channel.is_forked:  # what there is, is the parent's
            return 0
        left = self._drop_unread()
        self._channel.close()
        self._stop_borrowing()
        return left

    def _drop_unread(self) -> int:
        """Say and count what has come and was not received; how many messages that were."""
        channel = self._channel
        try:
            channel.enter(ending=True)
        except MisuseError:  # another thread is waiting in recv, and hears of the end now
            return 0
        try:
            left = 0 if channel.closed else channel.empty(self._was_ours) + len(self._kept)
        except ConnectionClosed:  # the context has been terminated
            left = 0
        finally:
            channel.leave()
        self._kept.clear()
        self._unread += left
        if left:
            warn("%s: closed with %d messages that had come and were not received", channel, left)
        return left

    def _was_ours(self, first: bytes) -> bool:
        """Whether the message that begins with ``first`` is lost with us. Its sender counts what lies in its memory."""
        return self._borrower is None or self._decoder.shared_in(first) is None

    def statistics(self) -> ConsumerStatistics:
        """What has been seen so far."""
        connections, inbox = self._channel.connections, self._inbox
        if not self.closed:
            self._channel.check_not_forked()
            connections.refresh()
        return ConsumerStatistics(
            messages=inbox.messages,
            nbytes=inbox.nbytes,
            missed=inbox.missed,
            malformed=inbox.malformed,
            unread=self._unread,
            connections=connections.count,
            disconnects=connections.disconnects,
            **refused(connections),
        )

    def _open(self, first: bytes | None, copy: bool, out: np.ndarray[Any, Any] | None) -> Received:
        """The message that begins with the part ``first``; the one that was kept longest, if that is None."""
        # Most are an array of a layout that came before, and take a short cut.
        lane = self._lanes.turn
        if lane is not None and first is not None and first is lane.again:
            repeat, changes = lane.repeat, lane.changes
            if repeat is not None and self._borrower is not None and out is None and not copy and repeat.renew(changes):
                return self._repeated(repeat, repeat.build(self._borrow(self._borrower, repeat, changes[2])))
            first = changed(lane.last, changes)
            found = self._repeats.find_shared(first)
            lane.repeat = None if found is None else found[0]
        if first is None or out is not None or copy:
            return self._open_any(first, copy, out)
        channel = self._channel
        if first.startswith(SIGNATURE):
            repeat = self._repeats.find_blob(first)
            if repeat is not None:
                return self._repeated(repeat, repeat.build(first))
        elif channel.more:
            repeat = self._repeats.find(first)
            if repeat is not None:
                small = repeat.nbytes <= SMALL
                part: Any = channel.take_one() if small else channel.take_view()
                if channel.more or len(part) != repeat.nbytes:
                    self._build(repeat.plan, [part, *channel.take(0, True)], copy)  # says what is wrong
                return self._repeated(repeat, repeat.build(part) if small else repeat.build_anywhere(part))
        elif self._borrower is not None:
            found = self._repeats.find_shared(first)
            if found is not None:
                repeat, place = found
                return self._repeated(repeat, repeat.build(self._borrow(self._borrower, repeat, place)))
        return self._open_any(first, copy, out)

    def _borrow(self, borrower: Borrower, repeat: Repeat, place: Place) -> memoryview:
        try:
            content = borrower.borrow(repeat.sender, place)
            found = len(content)
            if found != repeat.nbytes:
                del content  # or who keeps the error would keep the message
                raise DecodeError.of(KEY, expected=f"{repeat.nbytes} bytes", found=f"{found} in its message")
        except DecodeError:
            self._inbox.malformed += 1
            raise
        return content

    def _repeated(self, repeat: Repeat, array: np.ndarray[Any, Any]) -> Received:
        inbox = self._inbox
        inbox.received_from(repeat.source, repeat.sequence, repeat.size)
        if not inbox.messages & _SOME:
            self._channel.connections.refresh()
        return array, None, (repeat.source, repeat.sequence, repeat.sent_at), repeat.size

    def _open_any(self, first: bytes | None, copy: bool, out: np.ndarray[Any, Any] | None) -> Received:
        letter = self._kept.popleft() if first is None else self._read(first)
        payload = self._build(letter.plan, letter.parts, copy)
        if out is not None:
            try:
                copy_into(out, payload)
            except Exception:
                self._kept.append(letter)
                raise
            payload = out
        elif first is not None and letter.topic is None:
            self._repeats.learn(first, letter.envelope, letter.plan)
        self._inbox.received(letter.envelope, letter.nbytes)
        if not self._inbox.messages & _SOME:
            self._channel.connections.refresh()
        return payload, letter.topic, letter.envelope, letter.nbytes

    def _build(self, plan: Plan, parts: list[Any], copy: bool) -> Any:
        try:
            return plan.payload(parts, copy)
        except DecodeError:
            self._inbox.malformed += 1
            raise

    def _read(self, first: bytes) -> Letter:
        """All parts of the message that begins with ``first``."""
        channel, topic, nbytes = self._channel, None, 0
        try:
            if is_blob(first):
                return self._unwrap(first)
            if is_topic(first):
                topic, nbytes, first = read_topic(first), len(first), channel.take_one()
            return self._collect(first, topic, nbytes)
        except DecodeError:
            channel.drop_rest()
            self._inbox.malformed += 1
            raise

    def _unwrap(self, blob: bytes) -> Letter:
        """A message in one part."""
        metadata, plan, envelope, parts = self._decoder.open_blob(blob)
        if len(parts) == 1 and len(parts[0]) == plan.nbytes:
            self._repeats.learn_blob(blob, metadata, envelope, plan)
        return Letter(plan, list(plan.join(parts)), None, envelope, len(metadata) + sum(map(len, parts)))
