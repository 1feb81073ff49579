"""What a publisher does, apart from how it waits."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import zmq

from .addresses import Addresses
from .channel import Channel, check_positive
from .distributing import Distributor
from .ending import close_at_end
from .errors import MisuseError, Timeout
from .limits import Limits
from .log import warn
from .memory.leases import Leases
from .protocol.handle import FREE, SendHandle
from .protocol.message import PublisherStatistics
from .protocol.program import Parcel, Program, Topic, check_topic
from .protocol.tags import LONGEST
from .service import Service, weakly
from .steps import Need, Steps

__all__ = ["LINGER", "MAX_BYTES", "MAX_MESSAGES", "NOTICE_BYTES", "PUBLISHER_OPTIONS", "Publishing"]

MAX_MESSAGES = 1000  # ZeroMQ's own default
MAX_BYTES = 2**28  # 256 MiB, as for a producer
LINGER = 2.0
PUBLISHER_OPTIONS: dict[int, int] = {zmq.XPUB_MANUAL: 1, zmq.XPUB_NODROP: 1, zmq.RCVHWM: 0, zmq.RECONNECT_IVL_MAX: 1000}
"""Whom a message goes to is decided here, what finds no room is told, and no notice is ever dropped."""
NOTICE_BYTES = 2 * LONGEST  # nothing longer comes to a publisher, whose libzmq would keep a node for each byte
ATTEND = 0.002  # seconds between two looks at who has come, while messages are sent

# Up to here a copy into a message of libzmq's own costs less than lending it a buffer and hearing of its return.
_SMALL = 32 * 1024
_PIECE = 4096  # with many arrays that are small each and much together, those above this are counted in bytes, too


class Publishing:
    """State and steps of a publisher; the faces beside this add the waiting."""

    _channel: Channel

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        max_bytes: int,
        retain: int,
        limits: Limits,
        linger: float,
        context: zmq.Context[Any] | None,
    ) -> None:
        check_positive(max_messages=max_messages, max_bytes=max_bytes)
        max_bytes = int(max_bytes)
        if retain not in (0, 1):
            raise ValueError(f"retain={retain!r}: expected 0, or 1 to keep the last message of each topic")
        self._linger = linger
        self._retain = retain
        self._lock = threading.RLock()
        self._channel = channel(
            zmq.XPUB,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=NOTICE_BYTES,
            options=PUBLISHER_OPTIONS,
            context=context,
        )
        # Small messages are not counted in bytes; all that may wait for one subscriber are an eighth of the budget.
        self._small = min(_SMALL, max_bytes // (8 * max_messages))
        self._leases = Leases(max_bytes - self._small * max_messages)
        self._program = Program(limits)
        self._distributor = Distributor(self._channel, self._leases, self._program)
        self._distributor.on_return = weakly(self._on_return)
        self._attend_at = 0.0
        self._sending = False
        self._service = Service(f"publisher at {self._channel}", [self._channel.descriptor], self._work)
        close_at_end(self)

    def __del__(self) -> None:
        if hasattr(self, "_distributor"):
            self._close_blocking()

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
                bytes_in_flight=self._leases.nbytes,
                subscribers=self._distributor.states(),
                connections=self._channel.connections.count,
                disconnects=self._channel.connections.disconnects,
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
        if not topic.plain and not self._retain and type(payload) is np.ndarray and payload.nbytes <= self._small:
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
        for outlet, head in zip(topic.outlets, topic.heads, strict=True):
            if outlet.behind or outlet.untold or not self._channel.try_send_three(head, metadata, array):
                self._distributor.offer(outlet, head, Parcel(topic.name, [metadata, array.data.cast("B")], 0))
            else:
                outlet.sent += 1
        self._program.count(topic, len(metadata) + array.nbytes)
        return None if copy else FREE

    def _publish_any(self, topic: Topic, payload: Any, copy: bool, now: float) -> SendHandle | None:
        distributor = self._distributor
        frames = self._program.pack(topic, payload, now)
        nbytes = sum(map(len, frames))
        handle = None if copy else SendHandle()
        content = nbytes - len(frames[0])
        if content <= self._small:
            parcel = Parcel(topic.name, frames, 0)
        elif self._retain or distributor.has_room(topic, content):
            parcel = self._lease(topic, frames, None if self._retain else handle)
        else:
            distributor.refuse_all(topic)
            self._program.count(topic, nbytes)
            return handle
        if self._retain:
            if topic.retained is not None:
                self._leases.exempt(topic.retained.frames, False)
            topic.retained = parcel.own()
            self._leases.exempt(topic.retained.frames, True)
        self._program.count(topic, nbytes)
        distributor.distribute(topic, parcel)
        return handle

    def _lease(self, topic: Topic, frames: list[Any], handle: SendHandle | None) -> Parcel:
        """``frames`` as a parcel, the large ones copied once for all subscribers, or lent if there is a ``handle``."""
        leased, large = list(frames[:1]), 0
        for frame in frames[1:]:
            if len(frame) <= min(self._small, _PIECE):
                leased.append(frame)
                continue
            large += len(frame)
            leased.append(self._leases.copy(frame) if handle is None else self._leases.lend(frame, handle.expect()))
        return Parcel(topic.name, leased, large)

    # From time to time

    def _on_return(self) -> None:
        self._channel.on_release()
        if self._distributor.anyone_behind:
            self._service.wake()

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

    # The end

    def _begin_to_close(self) -> bool:
        """Every use from now on is refused; False if that is so already, or this is a forked child."""
        if self._channel.is_forked:
            return False
        with self._lock:
            if self._channel.closing:
                return False
            self._channel.closing = True
        self._service.stop()
        return True

    def _close_blocking(self, linger: float | None = None) -> int:
        if not self._begin_to_close():
            return 0
        try:
            self._channel.go_on(self._ending(), self._linger if linger is None else linger)
            return 0
        except Timeout as timeout:
            return self._report(str(timeout))
        finally:
            self._channel.destroy()

    def _ending(self) -> Steps[None]:
        """Until every subscriber has read what it was sent."""
        while not self._distributor.part():
            yield Need.RELEASED
        if self._channel.within_process or not self._channel.connections.refresh():
            return
        yield from self._channel.draining()
        yield from self._channel.parting()

    def _report(self, why: str) -> int:
        """Say what the close leaves behind."""
        count = self._distributor.waiting()
        warn("%s: closed with %d or more messages not known to have arrived, %s", self._channel, count, why)
        return count
