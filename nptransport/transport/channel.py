"""Waiting with a deadline, for what one ZeroMQ socket can do at once; and its orderly end.

This module and its twin in ``asyncio/`` are the ones that wait for the socket. What an endpoint does is written as a
generator of :class:`Need`; ``Channel.run`` goes on with it each time that the need is met.
"""

from __future__ import annotations

import math
import numbers
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import zmq

from .addresses import Addresses, read_addresses, socket_address
from .curve import Curve
from .lanes import Lanes
from .link import TICK, Link
from .spinning import Spinner
from .steps import LOOK, MOMENT, PATIENCE, Deadline, Need, Steps, wait_for

__all__ = ["Channel", "check_positive"]

T = TypeVar("T")

_LAST_WORDS = 0.5  # seconds for what the system has of the peers' when we close


class Channel(Link):
    """A link, and how to wait for what it needs: by blocking."""

    def __init__(
        self,
        kind: int,
        bind: Addresses,
        connect: Addresses,
        *,
        max_messages: int,
        max_part_bytes: int,
        options: Mapping[int, Any] | None = None,
        context: zmq.Context[Any] | None = None,
        security: Curve | None = None,
        names: tuple[str, str] = ("bind", "connect"),
    ) -> None:
        to_bind, to_connect = read_addresses(bind, connect, names)
        self.within_process = all(address.startswith("inproc://") for address in [*to_bind, *to_connect])
        self.folders = [
            os.path.dirname(socket_address(address)[len("ipc://") :])
            for address in [*to_bind, *to_connect]
            if address.startswith("shm://")
        ]
        """Where the side channels of shared memory are, for each shm:// address."""
        self.is_shared = len(self.folders) == len(to_bind) + len(to_connect) and len(set(self.folders)) == 1
        """Whether all that is sent here can lie in shared memory."""
        self.returns: int | None = None
        """A descriptor that is readable when memory may have come back of which no thread tells."""
        self.lanes: Lanes | None = None
        """Where messages may come past ZeroMQ."""
        self.tell_holders: Callable[[], str] | None = None
        """Says who holds memory, for errors."""
        self._released = threading.Event()
        self._spinner = Spinner()
        super().__init__(kind, context, security)
        self.open(to_bind, to_connect, max_messages=max_messages, max_part_bytes=max_part_bytes, options=options or {})

    def run(self, steps: Steps[T], timeout: float | None) -> T:
        """The result of ``steps``, or Timeout after ``timeout`` seconds (None: no end) of waiting."""
        self.enter()
        try:
            return self.go_on(steps, timeout, self._look_in)
        finally:
            self.leave()

    def go_on(self, steps: Steps[T], timeout: float | None, look: Callable[[], None] | None = None) -> T:
        """As :meth:`run`, where the steps themselves see to it that no two threads use the socket at once."""
        look = look or self.check_welcome
        deadline = None
        ending = self.closing
        while True:
            try:
                need = next(steps)
            except StopIteration as stop:
                return stop.value
            if deadline is None:
                deadline = Deadline(timeout, self.situation)
            self._wait(need, deadline)
            if not ending:
                self.check_open()
            if need not in (Need.WARM, Need.FETCHED):  # it takes about as long as such a wait
                look()

    def _look_in(self) -> None:
        """As :meth:`look`, and let libzmq do what it does in its caller's thread only: before that, what was lent to a
        connection that has ended does not come back."""
        self.events()
        self.look()

    def receive(self, timeout: float | None) -> bytes:
        """First part of the next message, waited for; Timeout after ``timeout`` seconds (None: no end)."""
        waited = 0.0
        lanes = self.lanes
        if (lanes is not None and lanes.open) or (timeout is not None and timeout < TICK):
            first = self.try_receive()
            if first is not None:
                return first
        else:
            try:
                return self._begin(0)  # as mostly, without a clock on the way
            except zmq.Again:
                waited = TICK
                self.check_open()
                self.look()
        deadline = None if timeout is None else Deadline(timeout, self.situation, waited)
        left = None if timeout is None else timeout - waited
        while (first := self._receive_later(left)) is None:
            left = None if deadline is None else deadline.left(Need.READABLE)
        return first

    def receive_for_a_while(self, most: float | None) -> bytes | None:
        """First part of the next message if it comes within a while, and within ``most`` seconds; else None."""
        if self.has_lanes or (most is not None and most < TICK):
            first = self.try_receive()
            if first is not None:
                return first
        return self._receive_later(most)

    def _receive_later(self, most: float | None) -> bytes | None:
        """As :meth:`receive_for_a_while`, where there was nothing a moment ago."""
        first = None
        if not self.has_lanes and (most is None or most >= TICK):
            try:
                return self._begin(0)  # blocks for a slice: cheaper than to try, to fail and to poll
            except zmq.Again:
                self.check_open()
        elif most is None or most > 0:
            self._await_message(TICK if most is None else min(most, TICK))
            self.check_open()
            first = self.try_receive()
        if first is None:
            self.look()
        return first

    @property
    def has_lanes(self) -> bool:
        """Whether something may come past ZeroMQ."""
        return self.lanes is not None and len(self.lanes.open) > 0

    def receive_eagerly(self, most: float) -> bytes | None:
        """As :meth:`receive_for_a_while`, for what may come sooner than this thread could fall asleep and be woken."""
        # Within a process whoever looks holds the interpreter's lock, which the other side needs.
        if not self.within_process and self._spinner.look(self.readable, most):
            return self.try_receive()
        begun = time.perf_counter()
        first = self.receive_for_a_while(most)
        if first is not None:
            self._spinner.slept(time.perf_counter() - begun)
        return first

    def try_receive(self) -> bytes | None:
        """First part of the next message, in the order in which its sender sent it; or None, and from then on the
        descriptor, and those of the lanes, tell of what comes."""
        lanes = self.lanes
        if lanes is None or not lanes.open:
            return super().try_receive()
        if lanes.are_long_at_it:
            if self.readable():
                lanes.finish()
            else:
                lanes.pause()
        first = lanes.take()
        if first is None and self.readable():
            first = lanes.take()  # what came there meanwhile was sent before
            if first is None:
                lanes.pause()
                return super().try_receive()
        return first

    def open_lanes(self) -> Lanes:
        """Take messages that come past ZeroMQ, too."""
        self.lanes = Lanes(self._unwatch)
        return self.lanes

    def _unwatch(self, descriptor: int) -> None:
        """That ``descriptor`` is about to be closed."""

    def _await_message(self, seconds: float) -> None:
        """Return once a message is there, or seems to be, or ``seconds`` have passed; after :meth:`try_receive`."""
        if self.lanes is not None and self.lanes.open:
            self.lanes.await_message(self.descriptor, seconds)
        else:
            self.poll(seconds, zmq.POLLIN)

    def _wait(self, need: Need, deadline: Deadline) -> None:
        if need is Need.FETCHED:
            time.sleep(MOMENT)
            return
        if need is Need.WARM:
            self.await_release(deadline.at_most(PATIENCE))
            return
        left = deadline.left(need)
        slice_ = TICK if left is None else min(TICK, left)
        if need in (Need.RELEASED, Need.SUBSCRIBED):  # who subscribes is heard of by another thread, too
            if self.returns is not None and need is Need.RELEASED:
                wait_for(self.returns, min(slice_, LOOK))
                return
            self._released.wait(min(slice_, LOOK))
            self._released.clear()
        elif need is Need.SETTLED:
            time.sleep(min(slice_, LOOK))  # nothing announces that a kernel's buffer has drained
        else:
            self.poll(slice_, zmq.POLLIN if need is Need.READABLE else zmq.POLLOUT)

    def await_event(self, waker: int, most: float, *, message: bool = True, room: bool = False) -> None:
        """Return once there is a ``message``, or ``room`` for one, if that is wanted; once ``waker`` is readable; or
        once ``most`` seconds have passed."""
        events = (zmq.POLLIN if message else 0) | (zmq.POLLOUT if room else 0)
        sockets: list[tuple[Any, int]] = [(waker, zmq.POLLIN)]
        if events:
            sockets.append((self._socket, events))
        try:
            zmq.zmq_poll(sockets, max(0, math.ceil(most * 1000)))
        except zmq.ZMQError as error:
            raise self.gone(error) from None

    def await_release(self, seconds: float = PATIENCE) -> None:
        """Return when lent memory comes back, or as soon as fresh memory would have been the quicker way."""
        self._released.wait(seconds)
        self._released.clear()

    def on_release(self) -> None:
        """Called from any thread when lent memory has come back."""
        if not self._released.is_set():
            self._released.set()

    @property
    def descriptor(self) -> int:
        """A file descriptor that is readable when something may have happened to the socket."""
        try:
            return int(self._socket.fileno())
        except zmq.ZMQError as error:
            raise self.gone(error) from None

    # The end

    def draining(self, left: int | None = None) -> Steps[None]:
        """Until libzmq and the system have handed on all that was sent, or whom it was sent to has left.

        ``left``: how many had left when the waiting began, if that was before.
        """
        quiet = 0
        if left is None:
            left = self.connections.disconnects
        while quiet < 3 and not self.within_process:  # once may be between two of libzmq's steps
            yield Need.SETTLED
            connected = self.connections.refresh()
            if self.connections.lost:
                self.events()  # raises what that means
            if not connected and self.connections.disconnects > left:
                return
            waiting = self.connections.pending and len(self._bound) < len(self.addresses)  # queued for who is to come
            quiet = quiet + 1 if connected and not waiting and self.connections.is_idle() else 0

    def parting(self) -> Steps[None]:
        """Until every peer has read to the end. Nothing can be sent afterwards.

        libzmq drops what a reader has not yet taken from the system when the writer closes (its issue 4660). So we
        close our direction only; the peer answers by closing its own once it has read everything. To unbind comes after
        that: libzmq leaves the connections that came to the address with it, and whatever is still on its way to them.
        """
        ended = self.connections.disconnects + self.connections.end_ours()
        while self.connections.refresh() and self.connections.disconnects < ended:
            yield Need.SETTLED

    def answering(self) -> Steps[None]:
        """Until whoever is still there has read all that was answered. Nothing can be sent afterwards."""
        if not self.within_process and self.connections.refresh():
            yield from self.draining()
            yield from self.parting()

    def empty(self, counts: Callable[[bytes], bool]) -> int:
        """Let nothing more come, and take all that has: how many messages that were, of those whose first part
        ``counts``. What is on lanes is their senders' to count."""
        self.connections.end_theirs()  # to unbind would end them at once, with all that is on its way
        until = time.monotonic() + _LAST_WORDS
        taken = 0
        while True:
            first = super().try_receive()
            if first is not None:
                taken += counts(first)
                self.drop_rest()
            elif not self.connections.refresh() or time.monotonic() > until:
                return taken
            else:
                time.sleep(MOMENT)

    def finish(self, steps: Steps[T], timeout: float) -> T:
        """As :meth:`run`, for the last ``steps``: every other use ends with ConnectionClosed from now on."""
        self.enter(ending=True)
        self.closing = True
        try:
            return self.go_on(steps, timeout, self._look_in)
        finally:
            self.leave()

    def close(self) -> None:
        """Close now, or as soon as the thread that is using the socket notices."""
        self.closing = self.closed = True
        self.destroy_if_unused()

    def destroy(self) -> None:
        super().destroy()
        if self.lanes is not None:
            self.lanes.close()

    def situation(self, what: str) -> str:
        """A sentence on ``what`` happened at this channel, for errors."""
        connected = self.connections.refresh()
        refused = "".join(f"; refused by {address}: {why}" for address, _, why, _ in self._refusals())
        broken_off = "".join(
            f"; handshakes that {at} broke off: {count}; does something else listen there?"
            for at, count in list(self.connections.broken_off.items())
            if at not in self.connections.turned_away
        )
        holders = self.tell_holders() if self.tell_holders is not None else ""
        return "; ".join(filter(None, [f"{self}: {what}; connected to {connected}{refused}{broken_off}", holders]))


def check_positive(**values: int) -> None:
    """ValueError for an option that has to be at least 1, TypeError for one that is no number."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real):
            raise TypeError(f"{name}={value!r}: expected a number")
        if not value >= 1:
            raise ValueError(f"{name}={value!r}: expected at least 1")
