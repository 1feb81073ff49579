"""What a consumer does, apart from how it waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import zmq

from .addresses import Addresses
from .channel import Channel, Need, Steps
from .codec import Decoder, Plan, is_topic, read_topic
from .errors import DecodeError
from .limits import Limits
from .protocol.inbox import Inbox
from .protocol.message import ConsumerStatistics, Message

__all__ = ["MAX_MESSAGES", "Consuming"]

# Each stands for a whole frame in memory, and for a frame interval that a slow reader lags behind.
MAX_MESSAGES = 32

# Below this, bytes are the cheaper and always aligned way to take a part from libzmq.
_SMALL = 32 * 1024


class Consuming:
    """State and steps of a consumer; the faces beside this add the waiting."""

    _channel: Channel

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        limits: Limits,
        context: zmq.Context[Any] | None,
    ) -> None:
        if max_messages < 1:
            raise ValueError(f"max_messages={max_messages!r}: expected at least 1")
        self._channel = channel(
            zmq.PULL,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=limits.max_total_bytes,
            context=context,
        )
        self._decoder = Decoder(limits)
        self._inbox = Inbox()
        self._kept: Message | None = None

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
        return self._channel.closed

    def statistics(self) -> ConsumerStatistics:
        """What has been seen so far."""
        connections, inbox = self._channel.connections, self._inbox
        if not self.closed:
            connections.refresh()
        return ConsumerStatistics(
            messages=inbox.messages,
            nbytes=inbox.nbytes,
            missed=inbox.missed,
            malformed=inbox.malformed,
            connections=connections.count,
            disconnects=connections.disconnects,
        )

    def _receiving(self, copy: bool, out: np.ndarray[Any, Any] | None) -> Steps[Message]:
        message, self._kept = self._kept, None
        while message is None:
            first = self._channel.try_receive()
            if first is None:
                yield Need.READABLE
            else:
                message = self._read(first, copy)
        if out is not None:
            try:
                _copy_into(out, message.payload)
            except DecodeError:
                self._kept = message
                raise
            message = message._replace(payload=out)
        return message

    def _read(self, first: bytes, copy: bool) -> Message:
        try:
            topic = None
            if is_topic(first):
                topic = read_topic(first)
                (first,) = self._channel.receive_rest(1, copy=True)[:1] or [b""]
            payload, envelope, nbytes = self._decoder.read(first, self._take, copy)
        except DecodeError:
            self._inbox.malformed += 1
            self._channel.drop_rest()
            raise
        self._inbox.received(envelope, nbytes)
        if envelope is None:
            return Message(payload, topic, None, None, None, nbytes)
        return Message(payload, topic, envelope.sequence, envelope.sent_at, envelope.source, nbytes)

    def _take(self, plan: Plan) -> list[Any]:
        return self._channel.receive_rest(len(plan.layouts), copy=plan.nbytes <= _SMALL)


def _copy_into(out: np.ndarray[Any, Any], payload: Any) -> None:
    fits = isinstance(payload, np.ndarray) and payload.shape == out.shape and payload.dtype == out.dtype
    if not fits or not out.flags.writeable:
        found = f"{payload.dtype} {list(payload.shape)}" if isinstance(payload, np.ndarray) else type(payload).__name__
        raise DecodeError.of(
            "message",
            expected=f"a writable {out.dtype} {list(out.shape)} as out asks for",
            found=found,
            hint="it is kept: the next recv() gives it",
        )
    np.copyto(out, payload)
