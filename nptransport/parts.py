"""One ZeroMQ socket: multipart messages sent and received without blocking, and what is subscribed to."""

from __future__ import annotations

from typing import Any

import zmq

__all__ = ["Parts"]

# As plain ints: arithmetic on pyzmq's enums takes longer than what it steers.
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_EVENTS, _POLLOUT = int(zmq.EVENTS), int(zmq.POLLOUT)


class Parts:
    """What can be done with a socket at once. A message is sent whole or not at all, and received part by part."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._socket.copy_threshold = 0  # what we lend is to be lent, whatever its size
        # pyzmq's send and recv in Python cost a third more than those of its base class in C.
        compiled: Any = super(zmq.Socket, self._socket)
        self._send, self._recv, self._get = compiled.send, compiled.recv, compiled.get
        self._first: zmq.Frame | None = None  # of the message begun
        self.more = False
        """Whether parts of the message begun are left to take."""
        self.broke_off = False
        """Whether the last message that could not be sent was lost in the middle."""

    # Sending

    def try_send(self, parts: list[Any], frames: list[Any] | None = None) -> bool:
        """Hand over all of ``parts``, or nothing: False if no peer has room, or the one that had left in the middle.

        ``frames``: those among ``parts`` that are not the same here are lent, the others copied.
        """
        last = len(parts) - 1
        self.broke_off = False
        for index, part in enumerate(parts):
            flags, copy = _NOBLOCK if index == last else _MORE, frames is None or part is frames[index]
            try:
                self._send(part, flags, copy)
            except zmq.Again:
                if index:
                    self._break_off(last - index)
                    return False
                self._get(_EVENTS)  # takes in who has made room, which a send does only about once a millisecond
                try:
                    self._send(part, flags, copy)
                except zmq.Again:
                    return False
        return True

    def try_send_one(self, part: bytes) -> bool:
        """As :meth:`try_send`, for a small message of one part."""
        try:
            self._send(part, _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def try_send_pair(self, metadata: bytes, array: Any) -> bool:
        """As :meth:`try_send`, for the one small array that most messages are."""
        try:
            self._send(metadata, _MORE)
            self._send(array, _NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _break_off(self, parts_left: int) -> None:
        # The peer has left in the middle of the message. libzmq forgets what it had of it, and drops what comes up to
        # and with the part that ends it; so it gets such an end, and the message can be sent anew from the first part.
        self.broke_off = True
        if parts_left:
            self._send(b"", _NOBLOCK)

    def writable(self) -> bool:
        return int(self._get(_EVENTS)) & _POLLOUT != 0

    # Receiving

    def try_receive(self) -> bytes | None:
        """First part of the next message, or None. The others have arrived with it: :meth:`take`."""
        try:
            return self._begin(_NOBLOCK)
        except zmq.Again:
            return None

    def _begin(self, flags: int) -> bytes:
        frame = self._first = self._recv(flags, False)
        self.more = frame.more
        content: bytes = frame.bytes
        return content

    def connection(self) -> int | None:
        """What the message begun has come on; None where that is not known."""
        return None if self._first is None else _connection_of(self._first)

    def _next(self, flags: int) -> zmq.Frame:
        # A frame knows whether more follow it; to ask the socket costs as much again as to receive.
        frame: zmq.Frame = self._recv(flags, False)
        self.more = frame.more
        return frame

    def take_one(self) -> bytes:
        """The next part of the message begun; empty if there is none."""
        if not self.more:
            return b""
        frame = self._recv(_NOBLOCK, False)
        self.more = frame.more
        return frame.bytes

    def take(self, most: int, as_bytes: bool) -> list[Any]:
        """The other parts of the message begun, up to ``most``; if there are more, an empty one stands for them.

        ``as_bytes``: copied, the better way for small ones, which libzmq does not align.
        """
        parts: list[Any] = []
        while self.more and len(parts) < most:
            frame = self._next(_NOBLOCK)
            parts.append(frame.bytes if as_bytes else frame)
        if self.more:
            self.drop_rest()
            parts.append(b"")
        return parts

    def drop_rest(self) -> None:
        """Take what is left of the message begun off the queue."""
        while self.more:
            self._next(_NOBLOCK)

    # Subscriptions

    def subscribe(self, prefix: bytes, wanted: bool) -> None:
        """Of a SUB socket: ask for what begins with ``prefix``, or ask for it no more."""
        self._socket.set(zmq.SUBSCRIBE if wanted else zmq.UNSUBSCRIBE, prefix)

    def try_notice(self) -> tuple[bytes, int | None] | None:
        """Of an XPUB socket: the next notice of a subscription, and the connection that it came on where there is one
        still; None without any."""
        try:
            frame: zmq.Frame = self._recv(_NOBLOCK, False)
        except zmq.Again:
            return None
        return frame.bytes, _connection_of(frame)

    def subscribe_sender(self, prefix: bytes, wanted: bool) -> None:
        """Of an XPUB socket in manual mode: send whom the last notice came from what begins with ``prefix``, or not."""
        self._socket.set(zmq.SUBSCRIBE if wanted else zmq.UNSUBSCRIBE, prefix)

    def send_to_who_has_room(self, parts: list[Any], frames: list[Any]) -> None:
        """Of an XPUB socket: to every subscriber that has room, as ZeroMQ does if not told otherwise."""
        self._socket.set(zmq.XPUB_NODROP, 0)
        self.try_send(parts, frames)
        self._socket.set(zmq.XPUB_NODROP, 1)


def _connection_of(frame: zmq.Frame) -> int | None:
    """The descriptor of the connection that ``frame`` came on; None within a process, and where that has ended."""
    try:
        connection = frame.get(zmq.SRCFD)
    except zmq.ZMQError:
        return None
    return connection if isinstance(connection, int) else None
