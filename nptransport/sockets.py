"""send_array and recv_array: on your own pyzmq sockets, in place of the recipe in pyzmq's documentation."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

import zmq

from .codec.frames import decoder_for, encode
from .codec.framing import is_blob
from .codec.metadata import is_topic, read_topic, write_topic
from .errors import DecodeError
from .limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    import zmq.asyncio

__all__ = ["recv_array", "send_array"]

T = TypeVar("T")

_SMALL = 8 * 1024


@overload
def send_array(
    socket: zmq.asyncio.Socket,
    payload: Any,
    flags: int = 0,
    copy: bool | None = None,
    track: bool = False,
    *,
    topic: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Awaitable[zmq.MessageTracker | None]: ...


@overload
def send_array(
    socket: zmq.Socket[bytes],
    payload: Any,
    flags: int = 0,
    copy: bool | None = None,
    track: bool = False,
    *,
    topic: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> zmq.MessageTracker | None: ...


def send_array(
    socket: zmq.Socket[Any],
    payload: Any,
    flags: int = 0,
    copy: bool | None = None,
    track: bool = False,
    *,
    topic: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Awaitable[zmq.MessageTracker | None] | zmq.MessageTracker | None:
    """Send ``payload``, an array or whatever :func:`encode` takes, as one multipart message.

    Every part is built before the first is sent: what cannot travel leaves nothing behind in the socket.

    Args:
        socket: any pyzmq socket that may send; on a zmq.asyncio.Socket an awaitable is returned.
        flags: zmq.NOBLOCK, or zmq.SNDMORE if more parts of yours follow.
        copy: False sends the arrays' own memory: leave it unchanged until the tracker is done. True and None copy.
        track: whether to return a zmq.MessageTracker, done when all parts have left (with ``copy=False``).
        topic: a str that goes in front, by which subscribers select.

    Raises:
        EncodeError: something in the payload cannot travel, or the topic is no str.
        zmq.ZMQError: as the socket's own ``send``; zmq.Again where it would block.
    """
    frames: list[Any] = [*([write_topic(topic)] if topic is not None else []), *encode(payload, limits=limits)]
    if _is_asyncio(socket):
        return _send_async(socket, frames, flags, copy is not False, track)
    return _send(socket, frames, flags, copy is not False, track)


@overload
def recv_array(
    socket: zmq.asyncio.Socket,
    flags: int = 0,
    copy: bool | None = None,
    track: bool = False,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Awaitable[Any]: ...


@overload
def recv_array(
    socket: zmq.Socket[bytes],
    flags: int = 0,
    copy: bool | None = None,
    track: bool = False,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Any: ...


def recv_array(
    socket: zmq.Socket[Any],
    flags: int = 0,
    copy: bool | None = None,
    track: bool = False,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """The payload of the next message on ``socket``; one that :func:`send_array` or an endpoint sent. A topic in front
    is skipped; parts of your own after it are left for ``socket.recv``.

    On a zmq.asyncio.Socket an awaitable is returned; cancelling it loses no message.

    Args:
        flags: zmq.NOBLOCK.
        copy, track: without effect, and there for code that had pyzmq's recipe: large arrays are views on what was
            received in any case.
        limits: bounds on the message.

    Raises:
        DecodeError: it is no such message, or a damaged one. It is gone; the next call gives the next one.
        zmq.ZMQError: as the socket's own ``recv``; zmq.Again where it would block.
    """
    if _is_asyncio(socket):
        return _recv_async(socket, flags, limits)
    return _recv(socket, flags, limits)


def _is_asyncio(socket: zmq.Socket[Any]) -> bool:
    module = sys.modules.get("zmq.asyncio")  # nobody has such a socket who has not imported it
    return module is not None and isinstance(socket, module.Socket)


def _send(socket: zmq.Socket[Any], frames: list[Any], flags: int, copy: bool, track: bool) -> zmq.MessageTracker | None:
    trackers = []
    for index, frame in enumerate(frames):
        more = zmq.SNDMORE if index < len(frames) - 1 else 0
        # Only arrays are worth lending; the metadata and the topic are small, and nobody else holds them.
        tracker = socket.send(frame, flags | more, copy=copy or type(frame) is bytes, track=track)
        if tracker is not None:
            trackers.append(tracker)
    return zmq.MessageTracker(*trackers) if track else None


def _recv(socket: zmq.Socket[Any], flags: int, limits: Limits) -> Any:
    """Takes the parts that the metadata tells of; what is behind them is left to the caller, as by the recipe."""
    frame = socket.recv(flags, copy=False)
    decoder = decoder_for(limits)
    try:
        if is_topic(frame.bytes):
            read_topic(frame.bytes)
            if not frame.more:
                raise DecodeError.of("message", expected="metadata", found=f"{frame.bytes[:24]!r}")
            frame = socket.recv(flags, copy=False)
        elif is_blob(frame.bytes):
            return decoder.decode_blob(frame.bytes)
        plan, _ = decoder.plan(frame.bytes)
        parts: list[Any] = []
        while frame.more and len(parts) < plan.count:
            frame = socket.recv(flags, copy=False)
            parts.append(frame.bytes if len(frame) < _SMALL else frame)  # small parts arrive unaligned, bytes are not
        return plan.payload(plan.join(parts))
    except DecodeError:
        while frame.more:
            frame = socket.recv(flags, copy=False)
        raise


async def _send_async(socket: Any, frames: list[Any], flags: int, copy: bool, track: bool) -> zmq.MessageTracker | None:
    return await _attempt(socket, zmq.POLLOUT, flags, lambda own: _send(own, frames, flags | zmq.NOBLOCK, copy, track))


async def _recv_async(socket: Any, flags: int, limits: Limits) -> Any:
    return await _attempt(socket, zmq.POLLIN, flags, lambda own: _recv(own, flags | zmq.NOBLOCK, limits))


async def _attempt(socket: Any, event: int, flags: int, operate: Callable[[zmq.Socket[Any]], T]) -> T:
    """The result of ``operate``, which must not block, once the socket has ``event``.

    pyzmq's own futures take a message before anybody awaits the result, and a cancelled one loses it. Waiting alone
    takes nothing, and there is no await between the message and its receiver.
    """
    own: zmq.Socket[Any] = zmq.Socket.shadow(socket.underlying)
    timeout = own.get(zmq.RCVTIMEO if event == zmq.POLLIN else zmq.SNDTIMEO)
    while True:
        try:
            return operate(own)
        except zmq.Again:
            if flags & zmq.NOBLOCK or not await socket.poll(timeout=timeout, flags=event):
                raise
        finally:
            # What happened to the socket is announced once, and may have been for another task's future.
            if not socket.closed:
                socket.get(zmq.EVENTS)
