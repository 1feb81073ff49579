"""Who is connected to a socket: libzmq's monitor, read when somebody asks."""

from __future__ import annotations

import itertools
import os
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import TypedDict

import zmq

from .kernel import has_ended, process_behind, running_threads, shut, unread_bytes

__all__ = ["Connections", "refused"]

_OPENED = zmq.EVENT_CONNECTED | zmq.EVENT_ACCEPTED
_EVENT = struct.Struct("=Hi")  # of zmq_socket_monitor: the event, and for these three the file descriptor
_GREETED = zmq.EVENT_HANDSHAKE_SUCCEEDED
_NOT_GREETED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_MISMATCH, _FORGED = 0x11000002, 0x11000001  # ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, _CRYPTOGRAPHIC
_MISMATCHES = {
    False: "it asks for a key: give security=npt.Curve.client(server=..., secret=...)",
    None: "it is not secured, or a client itself: give it security=npt.Curve.server(...)",
}
_NOT_ALLOWED = "key not allowed"
# Connections that a server ends in the handshake, one after the other, before we take it for a refusal. It may as well
# be a tunnel whose other end is about to come, or a bad network: three seconds of it.
_HINTS = 30
_ORPHANS = 0.5  # seconds between two looks for connections whose process has died
_numbers = itertools.count()


class _Connection:
    """One that is open."""

    __slots__ = ("address", "greeted", "number")

    def __init__(self, address: str | None) -> None:
        self.number = next(_numbers)
        """Its own for good, where a file descriptor is soon another connection's."""
        self.address = address
        """Where we connected to, if it was us who did."""
        self.greeted = False
        """Whether the other side turned out to speak ZeroMQ, and to be who it has to be."""


class Refusals(TypedDict):
    """How many were refused, and why, as ``statistics()`` says it."""

    refused: int
    refusals: Mapping[str, int]


class Connections:
    """The live connections of one socket, by file descriptor.

    Args:
        secured: whether those who come have to prove who they are; None where it is us who have to.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, secured: bool | None = False) -> None:
        self._live: dict[int, _Connection] = {}
        self._secured = secured
        self._reading = threading.Lock()
        self.count = 0
        """Number of peers when last refreshed."""
        self._failure: tuple[int, int] | None = None  # of the handshake of the connection that ends next
        self._unbound = 0
        self.departed: list[int] | None = None
        """Where it is a list: the connections that have ended are added to it."""
        self.refusals: Counter[str] = Counter()
        """Connections that came, and were no peers' or none of those who may, by why."""
        self.refused_us = 0
        """How often we were refused, and libzmq gave up."""
        self._reported: Counter[str] = Counter()
        self.broken_off: Counter[str] = Counter()
        """Addresses where connections of ours ended in the handshake, and how many in a row."""
        self._met: set[str] = set()  # where a handshake has succeeded: it is the one that was expected
        self._denied: Counter[str | None] = Counter()  # told that their key is not allowed, and about to end
        self._closed = False
        self.turned_away: dict[str, tuple[str, bool]] = {}
        """Addresses where we were refused: why, and whether libzmq has given up."""
        self.disconnects = 0
        """Peers that have left."""
        self._orphans_due = 0.0
        self.lost = False
        """Whether the context has been terminated, so that nothing is known of anybody any more."""
        address = f"inproc://nptransport.monitor.{os.getpid()}.{next(_numbers)}"
        # Of all events only these: reconnecting alone would bring hundreds, and nobody may look for hours.
        socket.monitor(address, _OPENED | _GREETED | _NOT_GREETED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self._events = socket.context.socket(zmq.PAIR)
        self._events.set(zmq.RCVHWM, 0)  # a full queue here would hold up the thread that moves the data
        self._events.set(zmq.LINGER, 0)
        self._events.connect(address)

    def refresh(self) -> int:
        """Take in what has happened since; number of peers now."""
        if not self._reading.acquire(blocking=False):
            return self.count  # another thread looks at this moment: statistics() may be asked for by any
        try:
            if not self._closed:
                self._read_events()
        finally:
            self._reading.release()
        return self.count

    def _read_events(self) -> None:
        try:
            while True:
                what, address = self._events.recv_multipart(zmq.NOBLOCK)
                event, descriptor = _EVENT.unpack(what)
                if event & _OPENED:
                    self._live[descriptor] = _Connection(address.decode() if event == zmq.EVENT_CONNECTED else None)
                elif event == _GREETED:
                    self._greet(self._ours(address))
                elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and self._secured:
                    self.refusals[_NOT_ALLOWED] += 1
                    self._denied[self._ours(address)] += 1  # who hears of it now, and leaves
                elif event & _NOT_GREETED:
                    self._failure = event, descriptor  # which is a reason, here; whose it is, the next event says
                elif event == zmq.EVENT_DISCONNECTED:
                    self._end(descriptor)
                else:
                    self._unbound += 1
        except zmq.Again:
            pass
        except zmq.ZMQError:  # the context has been terminated, and these descriptors are soon others'
            self.lost = True
            self._live.clear()
            self.count = 0

    def _ours(self, address: bytes) -> str | None:
        """The address of an event, if it was us who connected there; what came to us has our own in common."""
        text = address.decode()
        return text if any(connection.address == text for connection in self._live.values()) else None

    def _greet(self, address: str | None) -> None:
        """A handshake has succeeded. Of those that came libzmq does not say whose: probably the latest, as silent ones
        stay behind. If it was another, both are put right when one of them ends."""
        for connection in reversed(self._live.values()):
            if not connection.greeted and connection.address == address:
                connection.greeted = True
                self.count += 1
                if address is not None:
                    self.turned_away.pop(address, None)
                    self.broken_off.pop(address, None)
                    self._met.add(address)
                return

    def _end(self, descriptor: int) -> None:
        connection, failure = self._live.pop(descriptor, None), self._failure
        self._failure = None
        if self.departed is not None:
            self.departed.append(descriptor)
        if connection is None:
            return
        address = connection.address
        denied = failure is None and self._denied[address] > 0
        if failure is None and not denied and connection.greeted:
            self.count -= 1
            self.disconnects += 1
            return
        if connection.greeted:  # it was another one that had succeeded
            self.count -= 1
            self._greet(address)
        if denied:
            self._denied[address] -= 1
            if address is not None:
                self._note_refusal(address, (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 0))
        elif address is None:
            self.refusals[_why_refused(failure, self._secured)] += 1
        else:
            self._note_refusal(address, failure)

    def _note_refusal(self, address: str, failure: tuple[int, int] | None) -> None:
        """Who is at ``address`` refused us, or we them. libzmq does not try again after what it calls an error."""
        event, reason = failure or (0, 0)
        self.refused_us += event in (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        if self._secured and event in (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL):
            why = _why_refused(failure, self._secured)
            self.refusals[why] += why != _NOT_ALLOWED  # those have been counted
            self.turned_away[address] = f"we refuse it: {why}", why != _NOT_ALLOWED
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self.turned_away[address] = "it does not allow our key", True
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and reason == _MISMATCH:
            self.turned_away[address] = _MISMATCHES[self._secured], True
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self.turned_away[address] = "it does not hold to the protocol", True
        else:
            self.broken_off[address] += 1
            if self._secured is None and address not in self._met and self.broken_off[address] >= _HINTS:
                why = (
                    "it ends each connection in the handshake; is its key not the one given as server=, or is it gone?"
                )
                self.turned_away[address] = why, False

    @property
    def pending(self) -> int:
        """Number of connections, when last refreshed, whose other side has not said yet that it speaks ZeroMQ."""
        return len(self._live) - self.count

    def news(self) -> list[tuple[str, int]]:
        """Whom we have refused since this was called last, but for those whose key is known."""
        since = self.refusals - self._reported
        self._reported += since
        return [(why, count) for why, count in since.items() if why != _NOT_ALLOWED]

    def unread_bytes(self) -> int:
        """Bytes that this system still keeps for the other sides; 0 where it cannot tell."""
        return unread_bytes(list(self._live))  # a doorkeeper may read of others meanwhile

    def address_of(self, connection: int) -> str | None:
        """Where we connected to, if it was us who did, and that is still there."""
        self.refresh()
        found = self._live.get(connection)
        return None if found is None else found.address

    def all(self) -> list[int]:
        """The connections that there are."""
        self.refresh()
        return list(self._live)

    def leave(self, connection: int) -> None:
        """Count a connection no more that we left ourselves: libzmq has no event for that."""
        left = self._live.pop(connection, None)
        if left is not None and left.greeted:
            self.count -= 1
            self.disconnects += 1

    def number_of(self, connection: int | None) -> int | None:
        """What tells a connection from all others, those included that had its file descriptor before; None if it is
        there no more."""
        with self._reading:
            if not self._closed:
                self._read_events()
        found = None if connection is None else self._live.get(connection)
        return None if found is None else found.number

    def numbered(self, number: int) -> int | None:
        """The file descriptor of the connection of that number; None if it is there no more."""
        self.refresh()
        return next((each for each, found in list(self._live.items()) if found.number == number), None)

    def end(self, number: int) -> None:
        """Close the connection of that number, whose other side is known to have gone."""
        connection = self.numbered(number)
        if connection is not None:
            shut(connection)

    def end_orphans(self) -> None:
        """Close connections whose other side has died and left them to a forked child, which never reads from them.

        Only Unix sockets tell whose they are.
        """
        now = time.monotonic()
        if now < self._orphans_due or not sys.platform.startswith("linux"):
            return
        self._orphans_due = now + _ORPHANS
        for connection in self.all():
            process = process_behind(connection)
            if process and has_ended(process):
                shut(connection)

    def is_idle(self) -> bool:
        """Whether libzmq's threads sleep and the system keeps nothing: nothing is on its way. (A thread that has
        something to write to a system that takes it does not sleep.)"""
        return not self.unread_bytes() and not running_threads()

    def end_ours(self) -> int:
        """Close our direction of each connection, so that the peer reads to an end; how many peers those are."""
        live = list(self._live.items())
        return sum(shut(descriptor, theirs=False) and each.greeted for descriptor, each in live)

    def end_theirs(self) -> None:
        """Close the peers' direction of each connection: nothing comes any more but what this system has."""
        for descriptor in self.all():
            shut(descriptor, ours=False)

    def await_unbound(self, count: int) -> None:
        """Return once ``count`` listeners have gone, which libzmq sees to in a thread of its own.

        Until then the address is taken, and an ipc one is deleted at the end even from under a successor.
        """
        deadline = time.monotonic() + 0.5
        self._unbound = 0
        while self._unbound < count and time.monotonic() < deadline:
            with self._reading:
                self._events.poll(10)
                self._read_events()

    def close(self) -> None:
        with self._reading:
            self._closed = True
            self._events.close(0)


def refused(*connections: Connections) -> Refusals:
    """Connections that came, and were no peers', or none of those who may."""
    total = sum((each.refusals for each in connections), Counter[str]())
    return {"refused": total.total(), "refusals": dict(total)}


def _why_refused(failure: tuple[int, int] | None, secured: bool | None) -> str:
    event, reason = failure or (0, 0)
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return _NOT_ALLOWED
    if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and reason == _FORGED:
        return "wrong server key"
    # Who has no key sees that one is asked for, and may leave before it has said so: then that looks like anybody else.
    return "no key" if secured else "no handshake"
