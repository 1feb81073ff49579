"""What a publisher does, apart from how it waits."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import zmq

from ..codec.encoder import cut_frames
from ..codec.metadata import with_entry
from ..errors import MisuseError, Timeout
from ..limits import DEFAULT_LIMITS, Limits
from ..protocol.copies import begin, whole
from ..protocol.handle import FREE, SendHandle
from ..protocol.program import Parcel, Program, Topic, check_topic
from ..protocol.statistics import PublisherStatistics
from ..shm.layout import Lending, lay_out, shaped
from ..shm.lending import Lender
from ..transport.addresses import Addresses
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.steps import Need, Steps
from .broadcasting import LINGER, MAX_BYTES, MAX_MESSAGES, Broadcasting
from .endpoint import Endpoint

__all__ = ["Publishing"]

ATTEND = 0.002  # seconds between two looks at who has come, while messages are sent

_PIECE = 4096  # with many arrays that are small each and much together, those above this are counted in bytes, too


class Publishing(Broadcasting, Endpoint):
    """State and steps of a publisher; the faces beside this add the waiting."""

    def __init__(
        self,
        *,
        bind: Addresses = None,
        connect: Addresses = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        retain: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        linger: float = LINGER,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
    ) -> None:
        self._program = Program(limits)
        self._open_backend(self._program, bind, connect, max_messages, max_bytes, retain, linger, context, security)
        self._channel = self._backend
        self._attend_at = 0.0
        self._sending = False
        self._start("publisher", self._channel.descriptor)

    def statistics(self) -> PublisherStatistics:
        """What has been done so far."""
        program, audience = self._program, self._distributor.audience
        self._channel.check_not_forked()
        with self._lock:
            if not self._channel.closing and not self._sending:  # from then on, whoever closes has the socket
                self._distributor.attend()
                self._channel.connections.refresh()
            return PublisherStatistics(
                messages=program.messages,
                nbytes=program.nbytes,
                topics={name: topic.following for name, topic in program.topics.items()},
                **audience.losses(),
                bytes_in_flight=self._distributor.nbytes,
                subscribers=self._distributor.states(),
                connections=self._channel.connections.count,
                disconnects=self._channel.connections.disconnects,
                **refused(self._channel.connections),
            )

    # Sending

    def _publish(self, payload: Any, name: str, copy: bool) -> SendHandle | None:
        self._channel.check_not_forked()  # before the lock: the thread that held it at the fork is not there to let go
        self._service.check()
        with self._lock:
            self._channel.check_open()
            if self._sending:
                self._refuse_reentry()
            self._sending = True
            try:
                return self._publish_locked(payload, name, copy)
            finally:
                self._sending = False

    def _publish_locked(self, payload: Any, name: str, copy: bool) -> SendHandle | None:
        if time.monotonic() >= self._attend_at:
            self._attend()
        now = time.time()
        known = self._program.topics.get(name) if isinstance(name, str) else None
        topic = known or self._program.topic(name)
        self._distributor.audience.direct(topic)
        is_small = type(payload) is np.ndarray and payload.nbytes <= self._distributor.small
        if is_small and not topic.plain and not self._retain:
            metadata = self._program.metadata_like_before(topic, payload, now)
            if metadata is not None:
                return self._publish_small(topic, metadata, payload, copy)
        return self._publish_any(topic, payload, copy, now)

    def _refuse_reentry(self) -> None:
        raise MisuseError(
            f"{self._channel}: send was called from within send, as by a signal handler; set a flag there, send later",
            expected="one call at a time in each thread",
            found="a call within another",
        )

    def _publish_small(self, topic: Topic, metadata: bytes, array: Any, copy: bool) -> SendHandle | None:
        """A short cut for what most small messages are: one array, of a layout known."""
        alone = whole(metadata, array)
        for outlet, head in zip(topic.outlets, topic.heads, strict=True):
            if outlet.behind or outlet.untold:
                sent = False
            elif alone is not None:
                sent = self._channel.try_send_one(head + alone)
            else:
                sent = self._channel.try_send_pair(head + begin(metadata), array)
            if sent:
                outlet.sent += 1
            else:
                self._distributor.offer(outlet, head, Parcel(topic.name, [metadata, array.data.cast("B")], 0))
        self._program.count(topic, len(metadata) + array.nbytes)
        return None if copy else FREE

    def _publish_any(self, topic: Topic, payload: Any, copy: bool, now: float) -> SendHandle | None:
        distributor = self._distributor
        lender = None if topic.plain else distributor.lender
        frames = self._program.pack(topic, payload, now)
        if lender is None and not self._channel.within_process:  # there the very memory is handed over
            frames = cut_frames(frames)
        nbytes = sum(map(len, frames))
        handle = None if copy else SendHandle()
        content = nbytes - len(frames[0])
        if content <= self._distributor.small:
            parcel = Parcel(topic.name, frames, 0)
        elif lender is not None:
            shared = self._share(lender, topic, frames, content)
            handle = FREE if handle is not None else None
            if shared is None:
                distributor.refuse_all(topic)
                self._program.count(topic, nbytes)
                return handle
            parcel = shared
        elif self._retain or distributor.has_room(topic, content):
            parcel = self._lease(topic, frames, None if self._retain else handle)
        else:
            distributor.refuse_all(topic)
            self._program.count(topic, nbytes)
            return handle
        if self._retain:
            distributor.retain(topic, parcel)
        self._program.count(topic, nbytes)
        distributor.distribute(topic, parcel)
        return handle

    def _share(self, lender: Lender, topic: Topic, frames: list[Any], content: int) -> Parcel | None:
        """``frames`` as a parcel, the large ones copied to shared memory once for all; None without room there."""
        if not self._retain and not self._distributor.has_room(topic, content):
            return None
        pieces, nbytes, stay = lay_out(frames)
        slot = lender.take(nbytes)
        if slot is None:
            return self._lease(topic, frames, None) if self._retain else None
        for piece in pieces:
            slot.fill(frames[1 + piece.part], piece.offset)
        entry, lot = lender.begin(slot, pieces)
        return Parcel(topic.name, [with_entry(frames[0], entry), *stay], nbytes, lot)

    def _lease(self, topic: Topic, frames: list[Any], handle: SendHandle | None) -> Parcel:
        """``frames`` as a parcel, the large ones copied once for all subscribers, or lent if there is a ``handle``."""
        leases, leased, large = self._distributor.leases, list(frames[:1]), 0
        for frame in frames[1:]:
            if len(frame) <= min(self._distributor.small, _PIECE):
                leased.append(frame)
                continue
            large += len(frame)
            leased.append(leases.copy(frame) if handle is None else leases.lend(frame, handle.expect()))
        return Parcel(topic.name, leased, large)

    # Loans

    def _lend(self, loan: Lending[Any]) -> np.ndarray[Any, Any]:
        """An array to be filled and sent: in shared memory if there is room, else in memory that is copied."""
        loan.check_not_open()
        kind, sizes, nbytes = self._program.check_loan(loan.shape, loan.dtype)
        slot, lender = None, self._distributor.lender
        with self._lock:
            self._channel.check_open()
            if lender is not None and nbytes > self._distributor.small and self._distributor.has_space(nbytes):
                slot = lender.take(nbytes)
        memory = np.empty(nbytes, np.uint8) if slot is None else slot.array
        loan.array, loan.slot = shaped(memory, kind, sizes, nbytes, loan.order), slot
        return loan.array

    def _publish_lent(self, loan: Lending[Any]) -> None:
        """Send what has been written into it."""
        array = loan.end()
        lender, slot = self._distributor.lender, loan.slot
        if lender is None or slot is None:
            self._publish(array, loan.topic, True)
            return
        with self._lock:
            try:
                self._channel.check_open()
                topic = self._program.topic(loan.topic)
                self._attend()
                self._distributor.audience.direct(topic)
                if topic.plain:
                    self._publish_any(topic, array, True, time.time())
                    self._take_back(loan)
                    return
                frames = self._program.pack(topic, array, time.time())
            except BaseException:
                self._take_back(loan)
                raise
            entry, lot = lender.begin(slot, lay_out(frames)[0])
            loan.slot = None
            parcel = Parcel(topic.name, [with_entry(frames[0], entry)], lot.nbytes, lot)
            if self._retain:
                self._distributor.retain(topic, parcel)
            self._program.count(topic, sum(map(len, frames)))
            self._distributor.distribute(topic, parcel)

    def _take_back(self, loan: Lending[Any]) -> None:
        """It is not sent."""
        slot, loan.array, loan.slot = loan.slot, None, None
        if slot is not None and self._distributor.lender is not None:
            self._distributor.lender.give_back(slot)

    # From time to time

    def _attend(self) -> None:
        self._attend_at = time.monotonic() + ATTEND
        self._distributor.attend()

    def _work(self) -> bool:
        """What has to be done even if nobody calls; whether it has to be done at once when something happens."""
        with self._lock:
            if self.closed or self._channel.is_forked:
                return False
            now = time.monotonic()
            self._distributor.work(now)
            return now >= self._attend_at + ATTEND  # else the next message sees to it

    def _waiting_for_subscribers(self, count: int, topic: str | None) -> Steps[None]:
        name = None if topic is None else check_topic(topic)
        self._channel.check_not_forked()
        while True:
            with self._lock:
                self._channel.check_open()
                self._distributor.attend()
                if self._distributor.audience.count(name) >= count:
                    return
            yield Need.SUBSCRIBED

    def _too_few(self, count: int, topic: str | None, timeout: Timeout) -> Timeout:
        """Timeout that says who is there instead."""
        with self._lock:
            audience = self._distributor.audience
            asked = sorted({prefix.decode(errors="replace") for prefix in audience.prefixes()})
            there = audience.count(None if topic is None else check_topic(topic))
        whom = "subscribers" if topic is None else f"subscribers to topic {topic!r}"
        return Timeout(
            f"{self._channel}: waited {timeout.seconds:g} s for {count} {whom}, found {there}; all together ask for "
            f"{', '.join(map(repr, asked)) or 'nothing'}",
            seconds=timeout.seconds,
        )
