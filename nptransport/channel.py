"""One ZeroMQ socket from its opening to its end: its options, and waiting with a deadline.

This room and its twin in ``asyncio/`` are the ones that wait. What an endpoint does is written as a generator of
:class:`Need`; ``Channel.run`` goes on with it each time that the need is met.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import zmq

from .addresses import Addresses, answers, is_open_to_others, read_addresses, refusal, socket_address
from .connections import Connections
from .curve import OVERHEAD, Curve, check_security
from .doorkeeper import Door, open_door
from .errors import AddressError, AuthenticationError, ConnectionClosed, TransportError
from .guard import Guard
from .log import Complaints, warn_once
from .parts import Parts
from .steps import LOOK, MOMENT, PATIENCE, Deadline, Need, Steps, wait_for

__all__ = ["Channel", "check_positive"]

T = TypeVar("T")

# libzmq before this can be overrun by a peer before it has authenticated (CVE-2019-13132).
_OLDEST_LIBZMQ = (4, 3, 2)
_HANDSHAKE_BYTES = 4096  # that libzmq has to accept in one part before anybody can prove who they are
_RETRY = 1.0  # seconds after which we try again where we were refused, as somebody may have put that right
_NO_SOCKET = (zmq.ETERM, zmq.ENOTSOCK, zmq.ENOTSUP)  # the context has been terminated, or destroyed with its sockets
_SLICE = 0.1  # seconds after which a blocked call looks whether another thread has closed the endpoint


class Channel(Guard, Parts):
    """A socket bound and connected, guarded against use by two threads at once and in forked children."""

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
    ) -> None:
        self._security = check_security(security)
        if zmq.zmq_version_info() < _OLDEST_LIBZMQ:
            raise TransportError(
                f"libzmq {zmq.zmq_version()} can be overrun by any peer; install pyzmq with libzmq 4.3.2 or later"
            )
        to_bind, to_connect = read_addresses(bind, connect)
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
        self.tell_holders: Callable[[], str] | None = None
        """Says who holds memory, for errors."""
        self._released = threading.Event()
        Guard.__init__(self)
        self.addresses: list[str] = []
        context = context or zmq.Context.instance()
        try:
            Parts.__init__(self, context.socket(kind))
        except zmq.ZMQError as error:
            raise _no_socket(context, error) from None
        self._bound: list[str] = []
        self._connected: dict[str, str] = {}  # as libzmq was told, and as we were
        self._door: Door | None = None
        self._retried = 0.0
        self._told: dict[str, str] = {}
        self.complaints = Complaints()
        """Warnings about peers."""
        try:
            secured = None if security is not None and not security.is_server else security is not None
            self.connections = Connections(self._socket, secured=secured)
            self._set_options(max_messages, max_part_bytes, options or {}, [*to_bind, *to_connect])
            if security is not None:
                self._secure(security, max_part_bytes)
            for address in to_bind:
                self._bind(address)
            for address in to_connect:
                self._connect(address)
        except zmq.ZMQError as error:
            self.destroy()
            raise _no_socket(context, error) from None
        except BaseException:
            self.destroy()
            raise

    def _set_options(
        self, max_messages: int, max_part_bytes: int, more: Mapping[int, Any], addresses: list[str]
    ) -> None:
        options: dict[int, Any] = {
            zmq.SNDHWM: max_messages,
            zmq.RCVHWM: max_messages,
            zmq.RCVTIMEO: int(_SLICE * 1000),
            zmq.MAXMSGSIZE: max_part_bytes,
            zmq.LINGER: 0,  # settle() has waited already
            zmq.RECONNECT_IVL: 100,
            zmq.RECONNECT_IVL_MAX: 5000,
            # The system's heartbeat, not ZeroMQ's: one that a busy consumer answers, too. ZeroMQ's own waits in the
            # queue behind the data, cuts off whoever is slow to read and loses what was on its way.
            zmq.TCP_KEEPALIVE: 1,
            zmq.TCP_KEEPALIVE_IDLE: 10,
            zmq.TCP_KEEPALIVE_INTVL: 5,
            zmq.TCP_KEEPALIVE_CNT: 3,
            **more,
        }
        if any("[" in address for address in addresses):
            options[zmq.IPV6] = 1
        for option, value in options.items():
            self._socket.set(option, value)

    def _secure(self, security: Curve, max_part_bytes: int) -> None:
        self._socket.set(zmq.MAXMSGSIZE, max(max_part_bytes, _HANDSHAKE_BYTES) + OVERHEAD)
        if security.is_server:
            channel = weakref.ref(self)  # or the thread that asks would keep it
            self._door = open_door(
                self._socket.context,
                security,
                lambda *refusal: _on_refusal(channel(), *refusal),
                lambda: _look(channel()),
            )
        security.secure(self._socket, self._door.domain if self._door is not None else "")

    def _bind(self, address: str) -> None:
        real = socket_address(address)
        if real.startswith("ipc://") and answers(real):
            raise AddressError(f"{address}: in use by another process; stop it, or bind elsewhere", address=address)
        try:
            self._socket.bind(real)
        except zmq.ZMQError as error:
            raise refusal(address, error.errno, str(error)) from None
        bound: Any = self._socket.get(zmq.LAST_ENDPOINT)
        self._bound.append(bound.rstrip(b"\0").decode())
        self.addresses.append(self._bound[-1] if real == address else address)
        if self._security is None and is_open_to_others(address):
            warn_once(
                f"{address}: bound without security: whoever can reach this port can take part; "
                "give security=npt.Curve.server(...), or bind to 127.0.0.1 (docs/security.md)"
            )

    def _connect(self, address: str) -> None:
        real = socket_address(address)
        try:
            self._socket.connect(real)
        except zmq.ZMQError as error:
            raise refusal(address, error.errno, str(error)) from None
        self._connected[real] = address
        self.addresses.append(address)

    # Use

    def run(self, steps: Steps[T], timeout: float | None) -> T:
        """The result of ``steps``, or Timeout after ``timeout`` seconds (None: no end) of waiting."""
        self.enter()
        try:
            return self.go_on(steps, timeout, self.look)
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

    def receive(self, timeout: float | None) -> bytes:
        """First part of the next message, waited for; Timeout after ``timeout`` seconds (None: no end)."""
        waited = 0.0
        if timeout is None or timeout >= _SLICE:
            try:
                return self._begin(0)  # as mostly, without a call or a clock on the way
            except zmq.Again:
                waited = _SLICE
                self.check_open()
                self.look()
        deadline, left = Deadline(timeout, self.situation, waited), None if timeout is None else timeout - waited
        while (first := self.receive_for_a_while(left)) is None:
            left = deadline.left(Need.READABLE)
        return first

    def receive_for_a_while(self, most: float | None) -> bytes | None:
        """First part of the next message if it comes within a while, and within ``most`` seconds; else None."""
        if most is None or most >= _SLICE:
            try:
                return self._begin(0)  # blocks for a slice: cheaper than to try, to fail and to poll
            except zmq.Again:
                self.check_open()
                self.look()
                return None
        first = self.try_receive()
        if first is None:
            if most > 0:
                self.poll(most, zmq.POLLIN)
                self.check_open()
                first = self.try_receive()
            if first is None:
                self.look()
        return first

    def _wait(self, need: Need, deadline: Deadline) -> None:
        if need is Need.FETCHED:
            time.sleep(MOMENT)
            return
        if need is Need.WARM:
            self.await_release(deadline.at_most(PATIENCE))
            return
        left = deadline.left(need)
        slice_ = _SLICE if left is None else min(_SLICE, left)
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

    def check_usable(self) -> None:
        """ConnectionClosed, or MisuseError in a forked child."""
        self.check_not_forked()
        self.check_open()

    def check_not_forked(self) -> None:
        if self.is_forked:
            self.refuse_fork()

    def check_open(self) -> None:
        if self.closing:
            raise ConnectionClosed(f"{self}: closed", endpoint=str(self))

    def gone(self, error: zmq.ZMQError) -> Exception:
        """ConnectionClosed for an ``error`` of libzmq's that says that the socket was taken from us."""
        if error.errno not in _NO_SOCKET:
            return error
        return ConnectionClosed(f"{self}: closed with its zmq.Context, which has been terminated", endpoint=str(self))

    # Who refuses whom

    def check_welcome(self) -> None:
        """AuthenticationError if everybody whom this endpoint connects to has refused it, and nobody else can come. For
        any thread that waits."""
        self.complaints.settle()
        connected = self.connections.refresh()
        if connected or self._bound or not self.connections.turned_away:
            return
        refusals = {address: why for address, _, why, _ in self._refusals()}
        if len(refusals) == len(set(self.addresses)):
            address, why = next(iter(refusals.items()))
            raise AuthenticationError(f"{address}: refused: {why}", address=address, reason=why)

    def look(self) -> None:
        """As :meth:`check_welcome`, for who may use the socket: we try again, now and then."""
        try:
            self.check_welcome()
        finally:
            self.retry_refused()

    def retry_refused(self) -> None:
        """Try again, now and then, where we were refused: libzmq does not. For who may use the socket."""
        self.connections.refresh()
        if not self.connections.turned_away:
            return
        now = time.monotonic()
        due = now - self._retried > _RETRY
        for address, at, why, given_up in self._refusals():
            if self._told.get(address) != why:
                self._told[address] = why
                self.complaints.say("%s: refused: %s", address, why)
            if due and given_up:
                self._retried = now
                self.connections.turned_away[at] = why, False  # until it succeeds, or is refused again
                self._connect_anew(socket_address(address))

    def _refusals(self) -> list[tuple[str, str, str, bool]]:
        """Addresses of ours where we were refused, as given and as libzmq says; why; whether libzmq has given up."""
        found = [(self._given(at), at, why, over) for at, (why, over) in list(self.connections.turned_away.items())]
        return [(self._connected[real], at, why, over) for real, at, why, over in found if real is not None]

    def tell_refusals(self) -> None:
        """Report whom we have refused since; who came with a key has been reported with it."""
        self.connections.refresh()
        for why, count in self.connections.news():
            self.complaints.say("%s: refused %d connections: %s", self, count, why)
        self.complaints.settle()

    def _connect_anew(self, address: str) -> None:
        for change in (self._socket.disconnect, self._socket.connect):
            with contextlib.suppress(zmq.ZMQError):  # libzmq may have left already
                change(address)

    def reconnect(self, connection: int) -> bool:
        """Leave a ``connection`` of ours that seems dead, and connect anew; False if it is none of ours."""
        address = self._given(self.connections.address_of(connection))
        if address is None:
            return False
        try:
            self._socket.disconnect(address)
            self.connections.leave(connection)
            self._socket.connect(address)
        except zmq.ZMQError:
            return False  # the system is about to find out by itself
        return True

    def reconnect_all(self) -> bool:
        """Leave every connection of ours, and connect anew; whether there was one."""
        return sum(self.reconnect(connection) for connection in self.connections.all()) > 0

    def _given(self, address: str | None) -> str | None:
        """The address as it was given to us of one that libzmq tells of, with a host's name looked up; None if that is
        not clear."""
        ours = self._connected
        if address is None or address in ours:
            return address
        port = address.rpartition(":")[2]
        same = [each for each in ours if each.rpartition(":")[2] == port]
        return same[0] if len(same) == 1 else None

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

    def finish(self, steps: Steps[T], timeout: float) -> T:
        """As :meth:`run`, for the last ``steps``: every other use ends with ConnectionClosed from now on."""
        self.enter(ending=True)
        self.closing = True
        try:
            return self.go_on(steps, timeout, self.look)
        finally:
            self.leave()

    def close(self) -> None:
        """Close now, or as soon as the thread that is using the socket notices."""
        self.closing = self.closed = True
        self.destroy_if_unused()

    def _unbind(self) -> None:
        """Give the addresses back, so that who comes next finds them free."""
        for address in self._bound:
            self._socket.unbind(address)
        self.connections.await_unbound(sum(not address.startswith("inproc://") for address in self._bound))
        self._bound.clear()

    def destroy(self) -> None:
        """Close now. What has not left yet is dropped."""
        if self._socket.closed:
            return
        self.closing = self.closed = True
        try:
            if hasattr(self, "connections"):
                self._unbind()
                self._socket.disable_monitor()
        except zmq.ZMQError:
            pass  # the context has been terminated, and waits for us
        finally:
            if hasattr(self, "connections"):
                self.connections.close()
            self._socket.close(0)
            if self._door is not None:
                self._door.close()
            self.complaints.settle(ending=True)

    def situation(self, what: str) -> str:
        """A sentence on ``what`` happened at this channel, for errors."""
        connected = self.connections.refresh()
        refused = "".join(f"; refused by {address}: {why}" for address, _, why, _ in self._refusals())
        holders = f"; {self.tell_holders()}" if self.tell_holders is not None else ""
        return f"{self}: {what}; connected to {connected}{refused}{holders}"

    def __str__(self) -> str:
        return ", ".join(self.addresses) or "endpoint"


def _no_socket(context: zmq.Context[Any], error: zmq.ZMQError) -> TransportError:
    return TransportError(f"no socket in {context!r}: {error}; give another one as context=")


def _on_refusal(channel: Channel | None, key: str, address: str, problems: list[str]) -> None:
    if channel is not None:
        told = "".join(f"; {problem}" for problem in problems)
        channel.complaints.say("%s: refused %s: its key %s is not allowed%s", channel, address or "a peer", key, told)


def _look(channel: Channel | None) -> None:
    if channel is not None:
        channel.tell_refusals()


def check_positive(**values: int) -> None:
    """ValueError for an option that has to be at least 1."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name}={value!r}: expected at least 1")
