"""Messages to many subscribers, each at its own pace: what a publisher and a proxy do alike, apart from waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..memory.leases import Leases
from ..memory.pool import SMALL
from ..protocol.audience import Audience
from ..protocol.copies import begin, parts_of
from ..protocol.outlets import PATIENCE, PATIENCE_EARNED, Outlet, Route
from ..protocol.program import Parcel
from ..protocol.statistics import SubscriberState
from ..protocol.tags import Mode
from ..shm.lending import Lender
from ..transport.channel import Channel
from ..transport.steps import wait_for
from .announcing import Announcer, Repertoire

__all__ = ["Distributor"]


class Distributor:
    """Hands messages to the outlets on an XPUB socket, and counts for each what found no room.

    Args:
        max_messages, max_bytes: what may wait for one, and for all together.
        on_return: called, from any thread, when a large message has left for somebody.
    """

    def __init__(
        self,
        channel: Channel,
        repertoire: Repertoire,
        max_messages: int,
        max_bytes: int,
        on_return: Callable[[], None],
    ) -> None:
        self.audience = Audience()
        self.small = min(SMALL, max_bytes // (4 * max_messages))
        """Bytes of content up to which a message is copied for each subscriber, and not leased. Such are not counted in
        bytes; all of them that may wait for one subscriber are a quarter of the budget."""
        self.leases = Leases(max_bytes - self.small * max_messages)
        """The larger ones that are on their way."""
        self.lender: Lender | None = None
        """Shared memory, if what is sent here lies there."""
        self._heard = 0  # version of the audience that the lender knows
        self._addressees: dict[bytes, Outlet] = {}
        self._on_return = self.audience.plain.waiting.on_end = on_return
        self._channel = channel
        self._repertoire = repertoire
        self.announcer = Announcer(channel, self.audience, repertoire)
        self.anyone_behind = False
        """Whether something is kept for somebody until there is room."""

    def attend(self) -> None:
        """Take in who has come and gone, and greet those who came."""
        while (notice := self._channel.try_notice()) is not None:
            # The end of a connection may be heard of after the start of the next, which has its descriptor by then.
            reaction = self.audience.hear(notice[0], self._channel.connections.number_of(notice[1]))
            for wanted, prefix in reaction.subscribe:
                self._channel.subscribe_sender(prefix, wanted)
            if reaction.superseded is not None:
                self._channel.connections.end(reaction.superseded)
            for joined in reaction.joined:
                self._greet(*joined)
        self.audience.settle()
        if self.lender is not None:
            self.lender.look()
            if self._heard != self.audience.version:
                self._tell_lender(self.lender)

    def _tell_lender(self, lender: Lender) -> None:
        """Say who has gone, and has what it was sent on loan no more."""
        self._heard = self.audience.version
        outlets = self.audience.outlets
        for number, outlet in self._addressees.items():
            if outlets.get(number) is not outlet:
                lender.forget(number)
        self._addressees = dict(outlets)

    @property
    def nbytes(self) -> int:
        """Bytes of large messages that are on their way."""
        return self.leases.nbytes + (0 if self.lender is None else self.lender.nbytes)

    def _greet(self, outlet: Outlet, prefix: bytes) -> None:
        outlet.waiting.on_end = self._on_return
        topics = list(self._repertoire.under(prefix))
        for topic in topics:
            for parcel in self._repertoire.retained(topic):
                self.offer(outlet, outlet.copy_tag + topic, parcel)
        self.announcer.greet(outlet, prefix, topics)  # last: messages before a position are not waited for

    # Messages

    def has_room(self, route: Route, nbytes: int, *, leased: bool = False) -> bool:
        """Whether a large message of ``nbytes`` is worth a copy: somebody has room for it, or is content to wait.

        ``leased``: it is among the leases already.
        """
        to_come = 0 if leased else nbytes

        def fits() -> bool:
            return self._fits_beside(self.nbytes - nbytes + to_come, nbytes)

        if not fits():
            for outlet in route.outlets:  # the newest of a topic takes the place of the one that is kept
                outlet.replaced += outlet.behind.pop(route.name, None) is not None
            if not self._comes_about(fits, route.outlets):
                return False
        return any(outlet.is_latest or self._may_wait(outlet, nbytes, to_come) for outlet in self._outlets(route))

    def has_space(self, nbytes: int) -> bool:
        """Whether ``nbytes`` more are within the budget."""
        return self._fits_beside(self.nbytes, nbytes)

    def _fits_beside(self, out: int, nbytes: int) -> bool:
        """Whether a message of ``nbytes`` is within the budget beside ``out`` of others. Alone it always is, and in
        shared memory beside one like it, which a reader holds until the next has come."""
        most = self.leases.max_bytes if self.lender is None else max(self.leases.max_bytes, 2 * nbytes)
        return not out or out + nbytes <= most

    def _may_wait(self, outlet: Outlet, nbytes: int, to_come: int) -> bool:
        """Whether a message of ``nbytes`` may wait for ``outlet``; ``to_come``: those of them not leased yet."""

        def has_room() -> bool:
            leases, subscribers = self.leases, len(self.audience.outlets)
            free = leases.max_bytes - leases.nbytes - to_come + nbytes
            return outlet.has_room(nbytes, free, leases.max_bytes // max(subscribers, 1))

        return self._comes_about(has_room, [] if outlet.is_latest else [outlet])

    def _comes_about(self, condition: Callable[[], bool], outlets: Iterable[Outlet]) -> bool:
        """Whether ``condition`` holds, or does in a moment, since some of ``outlets`` are reading: what has been read
        comes back through a thread."""
        if condition():
            return True
        reading = [outlet for outlet in outlets if outlet.progresses()]
        left = most = max((outlet.patience for outlet in reading), default=0.0)
        began = time.monotonic()
        while left > 0 and not condition():
            if self.lender is None:
                self._channel.await_release(left)
            else:
                wait_for(self.lender.descriptor, left)
                self.lender.look()
            left = most - (time.monotonic() - began)
        for outlet in reading:
            outlet.patience = max(outlet.patience - (most - left), 0.0)
        return condition()

    def _outlets(self, route: Route) -> list[Outlet]:
        return [*route.outlets, self.audience.plain] if route.plain else route.outlets

    def retain(self, route: Route, parcel: Parcel) -> None:
        """Keep ``parcel`` for who comes later, beside the budget."""
        if route.retained is not None:
            self._exempt(route.retained, False)  # it may be waiting for somebody still
        route.retained = parcel.own()
        self._exempt(route.retained, True)

    def _exempt(self, parcel: Parcel, wanted: bool) -> None:
        self.leases.exempt(parcel.frames, wanted)
        if self.lender is not None and parcel.lot is not None:
            self.lender.exempt(parcel.lot, wanted)

    def distribute(self, route: Route, parcel: Parcel) -> None:
        """Send ``parcel`` to all whom ``route`` leads to."""
        for outlet, head in zip(route.outlets, route.heads, strict=True):
            self.offer(outlet, head, parcel)
        if route.plain:
            self.offer_plain(parcel)

    def refuse_all(self, route: Route) -> None:
        """Count a message that nobody gets, for want of bytes."""
        for outlet in self._outlets(route):
            self._drop(outlet, route.name, "bytes")

    def offer(self, outlet: Outlet, head: bytes, parcel: Parcel) -> None:
        """Send ``parcel`` with ``head`` in front, unless there is no room for it."""
        if outlet.behind:
            outlet.replaced += outlet.behind.pop(parcel.topic, None) is not None
            self._catch_up(outlet)
        if parcel.large and not self._may_wait(outlet, parcel.large, 0):
            self._refuse(outlet, parcel, "bytes")
        elif self._try_send(outlet, head, parcel):
            outlet.sent += 1
            outlet.patience = min(outlet.patience + PATIENCE_EARNED, PATIENCE)
            if outlet.untold:
                outlet.untold.discard(parcel.topic)
        else:
            self._refuse(outlet, parcel, "messages")

    def offer_plain(self, parcel: Parcel) -> None:
        """Send ``parcel`` to the subscribers that are not of ours, as ZeroMQ's own publishers do."""
        outlet = self.audience.plain
        if parcel.large and not self._may_wait(outlet, parcel.large, 0):
            self._drop(outlet, parcel.topic, "bytes")
            return
        head = [parcel.topic] if parcel.topic else []
        self._channel.send_to_who_has_room([*head, *_views(outlet, parcel.frames)], [*head, *parcel.frames])
        outlet.sent += 1

    def _try_send(self, outlet: Outlet, head: bytes, parcel: Parcel) -> bool:
        """Small frames are copied; of large ones it gets views, which count as waiting for it until they have left."""
        if self.lender is not None and parcel.lot is not None:
            metadata, *stay = parcel.frames
            self.lender.address(parcel.lot, outlet.number, outlet.waiting)
            if self._channel.try_send([head + begin(metadata), *stay]):
                return True
            self.lender.take_back(parcel.lot, outlet.number, outlet.waiting)
            return False
        opening, *rest = parts_of(parcel.frames, joined=not parcel.large)
        first = head + opening
        return self._channel.try_send([first, *_views(outlet, rest)], [first, *rest])

    def _drop(self, outlet: Outlet, topic: bytes, want: str) -> None:
        if want == "bytes":
            outlet.dropped_for_bytes += 1
        else:
            outlet.dropped_for_messages += 1
        outlet.untold.add(topic)

    def _refuse(self, outlet: Outlet, parcel: Parcel, want: str) -> None:
        if outlet.mode is Mode.LATEST:
            outlet.replaced += parcel.topic in outlet.behind
            outlet.behind[parcel.topic] = parcel.own()
            self.anyone_behind = True
            if self.lender is not None:
                self.lender.attend(True)
        else:
            self._drop(outlet, parcel.topic, want)

    def _catch_up(self, outlet: Outlet) -> None:
        for topic, parcel in list(outlet.behind.items()):
            if parcel.large and not self._may_wait(outlet, parcel.large, 0):
                return
            if not self._try_send(outlet, outlet.copy_tag + topic, parcel):
                return
            del outlet.behind[topic]
            outlet.sent += 1

    def waiting(self) -> int:
        """Messages, at the least one, that are not known to have left."""
        outlets = self.audience.outlets.values()
        return max(sum(outlet.waiting.messages + len(outlet.behind) for outlet in outlets), 1)

    def states(self) -> dict[str, SubscriberState]:
        """What is known of each subscriber, for statistics."""
        return {
            outlet.number.hex() or "plain": SubscriberState(
                topics=tuple(sorted(prefix.decode(errors="replace") for prefix in outlet.prefixes)),
                latest=outlet.is_latest,
                sent=outlet.sent,
                dropped_for_messages=outlet.dropped_for_messages,
                dropped_for_bytes=outlet.dropped_for_bytes,
                replaced=outlet.replaced,
                bytes_waiting=outlet.waiting.nbytes,
            )
            for outlet in [*self.audience.outlets.values(), self.audience.plain]
            if outlet.number or outlet.prefixes
        }

    # Time, and the end

    def work(self, now: float) -> None:
        """What has to be done from time to time: notices, what was kept for want of room, and a word to everybody."""
        self.attend()
        self._channel.retry_refused()
        if self.anyone_behind:
            for outlet in self.audience.outlets.values():
                self._catch_up(outlet)
            self.anyone_behind = any(outlet.behind for outlet in self.audience.outlets.values())
            if self.lender is not None and not self.anyone_behind:
                self.lender.attend(False)
        if now >= self.announcer.due:
            self.announcer.beat(now)

    def part(self) -> bool:
        """The last word to everybody: where each stream ends. False while somebody has no room for it, or is still to
        get messages before it."""
        self.attend()
        for outlet in self.audience.outlets.values():
            self._catch_up(outlet)
            if not outlet.behind and not outlet.parted:
                self.announcer.part(outlet)
        return all(outlet.parted for outlet in self.audience.outlets.values())


def _views(outlet: Outlet, parts: list[Any]) -> list[Any]:
    """``parts``: of large ones views, which count as waiting for ``outlet`` until they have left; the message counts
    until the last of them has."""
    frames, message = list(parts), 1
    for index in reversed(range(len(parts))):
        if isinstance(parts[index], np.ndarray):
            frames[index] = outlet.waiting.view(parts[index], message)
            message = 0
    return frames
