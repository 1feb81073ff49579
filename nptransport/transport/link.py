"""One ZeroMQ socket on its way to others: its options, where it is bound and connected, who refuses whom, its end."""

from __future__ import annotations

import contextlib
import sys
import time
import weakref
from collections.abc import Mapping
from typing import Any

import zmq

from ..errors import AddressError, AuthenticationError, ConnectionClosed, TransportError
from ..log import Complaints, warn_once
from .addresses import answers, is_loopback, is_open_to_others, refusal, socket_address
from .connections import Connections
from .curve import OVERHEAD, Curve, check_security
from .doorkeeper import Door, open_door
from .folders import SocketFiles
from .guard import Guard
from .parts import Parts

__all__ = ["TICK", "Link"]

TICK = 0.1  # seconds after which a blocked call looks whether another thread has closed the endpoint

# libzmq before this can be overrun by a peer before it has authenticated (CVE-2019-13132).
_OLDEST_LIBZMQ = (4, 3, 2)
_MOST_MESSAGES = 2**31 - 1  # that a high-water mark of libzmq's can say
_HANDSHAKE_BYTES = 4096  # that libzmq has to accept in one part before anybody can prove who they are
_NO_SOCKET = (zmq.ETERM, zmq.ENOTSOCK, zmq.ENOTSUP)  # the context has been terminated, or destroyed with its sockets
# Over loopback TCP Linux lets what is sent and not yet read grow to 4 MB, for which no core has the cache: arrays of
# 1 to 8 MB go 1.2 to 1.5 times as fast with this, its default for Unix sockets (docs/performance.md). Between machines
# it has to grow, with the time that an answer takes.
_LOOPBACK_BUFFER = 212_992 if sys.platform == "linux" else -1
_RETRY = 1.0  # seconds after which we try again where we were refused, as somebody may have put that right


class Link(Guard, Parts):
    """A socket bound and connected, guarded against use by two threads at once and in forked children."""

    connections: Connections
    """Who is there."""

    def __init__(self, kind: int, context: zmq.Context[Any] | None, security: Curve | None) -> None:
        self._security = check_security(security)
        if zmq.zmq_version_info() < _OLDEST_LIBZMQ:
            raise TransportError(
                f"libzmq {zmq.zmq_version()} can be overrun by any peer; install pyzmq with libzmq 4.3.2 or later"
            )
        Guard.__init__(self)
        self.addresses: list[str] = []
        context = context or zmq.Context.instance()
        try:
            Parts.__init__(self, context.socket(kind))
        except zmq.ZMQError as error:
            raise _no_socket(context, error) from None
        self._bound: list[str] = []
        self._connected: dict[str, str] = {}  # as libzmq was told, and as we were
        self._files = SocketFiles()
        self._door: Door | None = None
        self._retried = 0.0
        self._told: dict[str, str] = {}
        self.complaints = Complaints()
        """Warnings about peers."""

    def open(
        self,
        to_bind: list[str],
        to_connect: list[str],
        *,
        max_messages: int,
        max_part_bytes: int,
        options: Mapping[int, Any],
    ) -> None:
        """Bind and connect, or be destroyed."""
        security = self._security
        try:
            secured = None if security is not None and not security.is_server else security is not None
            self.connections = Connections(self._socket, secured=secured)
            self._set_options(max_messages, max_part_bytes, options, [*to_bind, *to_connect])
            if security is not None:
                self._secure(security, max_part_bytes)
            for address in to_bind:
                self._bind(address)
            for address in to_connect:
                self._connect(address)
        except zmq.ZMQError as error:
            self.destroy()
            raise _no_socket(self._socket.context, error) from None
        except BaseException:
            self.destroy()
            raise

    def _set_options(
        self, max_messages: int, max_part_bytes: int, more: Mapping[int, Any], addresses: list[str]
    ) -> None:
        options: dict[int, Any] = {
            zmq.SNDHWM: min(max_messages, _MOST_MESSAGES),
            zmq.RCVHWM: min(max_messages, _MOST_MESSAGES),
            zmq.RCVTIMEO: int(TICK * 1000),
            zmq.MAXMSGSIZE: max_part_bytes,
            zmq.LINGER: 0,  # `draining` and `parting` have waited already
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
            link = weakref.ref(self)  # or the thread that asks would keep it
            self._door = open_door(
                self._socket.context,
                security,
                lambda *refusal: _on_refusal(link(), *refusal),
                lambda: _look(link()),
            )
        security.secure(self._socket, self._door.domain if self._door is not None else "")

    def _bind(self, address: str) -> None:
        real = socket_address(address)
        if real.startswith("ipc://") and answers(real):
            raise AddressError(f"{address}: in use by another process; stop it, or bind elsewhere", address=address)
        try:
            self._size_buffer(real)
            self._socket.bind(real)
        except zmq.ZMQError as error:
            raise refusal(address, error.errno, str(error)) from None
        bound: Any = self._socket.get(zmq.LAST_ENDPOINT)
        self._bound.append(bound.rstrip(b"\0").decode())
        if real.startswith("ipc://"):
            self._files.add(self._bound[-1][len("ipc://") :])
        self.addresses.append(self._bound[-1] if real == address else address)
        if self._security is None and is_open_to_others(address):
            warn_once(
                f"{address}: bound without security: whoever can reach this port can take part; "
                "give security=npt.Curve.server(...), or bind to 127.0.0.1 (docs/security.md)"
            )

    def _connect(self, address: str) -> None:
        real = socket_address(address)
        try:
            self._size_buffer(real)
            self._socket.connect(real)
        except zmq.ZMQError as error:
            raise refusal(address, error.errno, str(error)) from None
        self._connected[real] = address
        self.addresses.append(address)

    def _size_buffer(self, address: str) -> None:
        """Say how much the system is to hold for who sends over what is bound or connected next."""
        self._socket.set(zmq.SNDBUF, _LOOPBACK_BUFFER if is_loopback(address) else -1)  # -1: as the system does

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
        self._size_buffer(address)
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
            self._size_buffer(address)
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

    def _unbind(self) -> None:
        """Give the addresses back, so that who comes next finds them free."""
        self._files.remove()  # first: as long as we listen nobody else makes one there
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

    def __str__(self) -> str:
        return ", ".join(self.addresses) or "endpoint"


def _no_socket(context: zmq.Context[Any], error: zmq.ZMQError) -> TransportError:
    return TransportError(f"no socket in {context!r}: {error}; give another one as context=")


def _on_refusal(link: Link | None, key: str, address: str, problems: list[str]) -> None:
    if link is not None:
        told = "".join(f"; {problem}" for problem in problems)
        link.complaints.say("%s: refused %s: its key %s is not allowed%s", link, address or "a peer", key, told)


def _look(link: Link | None) -> None:
    if link is not None:
        link.tell_refusals()
