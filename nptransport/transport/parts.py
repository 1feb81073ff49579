"""One ZeroMQ socket: multipart messages sent and received without blocking, and what is subscribed to."""

from __future__ import annotations

from typing import Any

import zmq

__all__ = ["Parts"]

# As plain ints: arithmetic on pyzmq's enums takes longer than what it steers.
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)
_EVENTS, _POLLIN, _POLLOUT = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.POLLOUT)


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
        self.whole = b""
        """What parts begin with that are a message each, whatever follows; empty if there are none."""
        self._was_whole = False  # the last message, so that the next is taken for one

    def gone(self, error: zmq.ZMQError) -> Exception:
        """What to raise for ``error``: another one if it says that there is no socket any more."""
        return error

    # Sending

    def try_send(self, parts: list[Any], frames: list[Any] | None = None) -> bool:
        """Hand over all of ``parts``, or nothing: False if no peer has room, or the one that had left in the middle.

        ``frames``: those among ``parts`` that are not the same here are lent, the others copied.
        """
        last = len(parts) - 1
        self.broke_off = False
        try:
            for index, part in enumerate(parts):
                flags, copy = _NOBLOCK if index == last else _MORE, frames is None or part is frames[index]
                try:
                    self._send(part, flags, copy)
                except zmq.Again:
                    if index:
                        self._break_off(last - index)
                        return False
                    self._get(_EVENTS)  # takes in who has made room, which a send does only about once a millisecond
                    self._send(part, flags, copy)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            raise self.gone(error) from None
        return True

    def try_route(self, parts: list[Any], frames: list[Any] | None = None) -> bool | None:
        """As :meth:`try_send`, to the peer that the first part names; None if there is no such peer (any more)."""
        try:
            return self.try_send(parts, frames)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return None

    def try_send_one(self, part: bytes) -> bool:
        """As :meth:`try_send`, for a small message of one part."""
        try:
            self._send(part, _NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            raise self.gone(error) from None
        return True

    def try_send_pair(self, metadata: bytes, array: Any) -> bool:
        """As :meth:`try_send`, for the one small array that most messages are."""
        try:
            self._send(metadata, _MORE)
            self._send(array, _NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            raise self.gone(error) from None
        return True

    def _break_off(self, parts_left: int) -> None:
        # The peer has left in the middle of the message. libzmq forgets what it had of it, and drops what comes up to
        # and with the part that ends it; so it gets such an end, and the message can be sent anew from the first part.
        self.broke_off = True
        if parts_left:
            self._send(b"", _NOBLOCK)

    def events(self) -> int:
        """What the socket is ready for. It takes in what has happened, too, of which its descriptor tells once."""
        try:
            return int(self._get(_EVENTS))
        except zmq.ZMQError as error:
            raise self.gone(error) from None

    def poll(self, seconds: float, event: int) -> None:
        """Return when the socket is ready for ``event``, or after ``seconds``."""
        try:
            self._socket.poll(max(1, int(seconds * 1000)), event)
        except zmq.ZMQError as error:
            raise self.gone(error) from None

    def writable(self) -> bool:
        return self.events() & _POLLOUT != 0

    # Receiving

    def readable(self) -> bool:
        """Whether a message is there: a look costs a fifth of a receive in vain."""
        return self.events() & _POLLIN != 0

    def try_receive(self) -> bytes | None:
        """First part of the next message, or None. The others have arrived with it: :meth:`take`."""
        try:
            return self._begin(_NOBLOCK)
        except zmq.Again:
            return None

    def _begin(self, flags: int) -> bytes:
        content: bytes
        try:
            if self._was_whole:
                # Half of what a frame and its content cost, which alone tell whether more follow.
                content = self._recv(flags)
                if not content.startswith(self.whole):
                    self._was_whole = False
                    self.more = self._get(_RCVMORE) != 0
                return content
            frame = self._recv(flags, False)
        except zmq.ZMQError as error:
            raise self.gone(error) from None
        content = frame.bytes
        self._was_whole = self.whole != b"" and content.startswith(self.whole)
        self._first = None if self._was_whole else frame
        self.more = frame.more and not self._was_whole
        return content

    def connection(self) -> int | None:
        """What the message begun has come on; None where that is not known."""
        return None if self._first is None else _connection_of(self._first)

    def _next(self, flags: int) -> zmq.Frame:
        # A frame knows whether more follow it; to ask the socket costs as much again as to receive.
        try:
            frame: zmq.Frame = self._recv(flags, False)
        except zmq.ZMQError as error:
            raise self.gone(error) from None
        self.more = frame.more
        return frame

    def take_one(self) -> bytes:
        """The next part of the message begun; empty if there is none."""
        if not self.more:
            return b""
        try:
            frame = self._recv(_NOBLOCK, False)  # as _next: a call more for each message would be felt
        except zmq.ZMQError as error:
            raise self.gone(error) from None
        self.more = frame.more
        return frame.bytes

    def take_frame(self) -> zmq.Frame | None:
        """The next part of the message begun, as it was received; None if there is none."""
        return self._next(_NOBLOCK) if self.more else None

    def take_view(self) -> memoryview:
        """As :meth:`take_one`, for a large part: a read-only view on it."""
        frame = self.take_frame()
        return memoryview(b"") if frame is None else frame.buffer.toreadonly()

    def take_word(self) -> tuple[bytes, int | None]:
        """Of a ROUTER socket: the part behind the identity, and the connection that it came on, where that is known."""
        if not self.more:
            return b"", None
        frame = self._next(_NOBLOCK)
        return frame.bytes, _connection_of(frame)

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
        self._set(zmq.SUBSCRIBE if wanted else zmq.UNSUBSCRIBE, prefix)

    def try_notice(self) -> tuple[bytes, int | None] | None:
        """Of an XPUB socket: the next notice of a subscription, and the connection that it came on where there is one
        still; None without any."""
        try:
            frame = self._next(_NOBLOCK)
        except zmq.Again:
            return None
        return frame.bytes, _connection_of(frame)

    def subscribe_sender(self, prefix: bytes, wanted: bool) -> None:
        """Of an XPUB socket in manual mode: send whom the last notice came from what begins with ``prefix``, or not."""
        self._set(zmq.SUBSCRIBE if wanted else zmq.UNSUBSCRIBE, prefix)

    def send_to_who_has_room(self, parts: list[Any], frames: list[Any]) -> None:
        """Of an XPUB socket: to every subscriber that has room, as ZeroMQ does if not told otherwise."""
        self._set(zmq.XPUB_NODROP, 0)
        self.try_send(parts, frames)
        self._set(zmq.XPUB_NODROP, 1)

    def _set(self, option: int, value: Any) -> None:
        try:
            self._socket.set(option, value)
        except zmq.ZMQError as error:
            raise self.gone(error) from None


def _connection_of(frame: zmq.Frame) -> int | None:
    """The descriptor of the connection that ``frame`` came on; None within a process, and where that has ended."""
    try:
        connection = frame.get(zmq.SRCFD)
    except zmq.ZMQError:
        return None
    return connection if isinstance(connection, int) else None
