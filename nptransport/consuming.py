"""What a consumer does, apart from how it waits."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import zmq

from .addresses import Addresses
from .channel import Channel, check_positive
from .codec import Decoder, Plan, is_topic, read_topic
from .errors import DecodeError
from .limits import Limits
from .protocol.inbox import Inbox
from .protocol.message import ConsumerStatistics, Message

__all__ = ["MAX_BYTES", "MAX_MESSAGES", "Consuming"]

log = logging.getLogger("nptransport")

MAX_MESSAGES = 256  # enough to keep small messages flowing; max_bytes bounds the large ones
MAX_BYTES = 2**28  # 256 MiB, as for producers

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
        max_bytes: int,
        limits: Limits,
        context: zmq.Context[Any] | None,
    ) -> None:
        check_positive(max_messages=max_messages, max_bytes=max_bytes)
        self._high_water = max_messages
        self._max_bytes = max_bytes
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

    def __del__(self) -> None:
        if hasattr(self, "_channel"):
            self._channel.close()

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

    def _open(self, first: bytes | None, copy: bool, out: np.ndarray[Any, Any] | None) -> Message:
        """The message that begins with the part ``first``; the one that was kept, if that is None."""
        message = self._kept if first is None else self._read(first, copy)
        self._kept = None
        assert message is not None
        if out is not None:
            try:
                _copy_into(out, message.payload)
            except DecodeError:
                self._kept = message
                raise
            message = message._replace(payload=out)
        return message

    def _read(self, first: bytes, copy: bool) -> Message:
        channel, topic = self._channel, None
        try:
            if is_topic(first):
                topic = read_topic(first)
                first = channel.take_one()
            payload, envelope, nbytes = self._decoder.read(first, self._take, copy)
        except DecodeError:
            channel.drop_rest()
            self._inbox.malformed += 1
            raise
        self._inbox.received(envelope, nbytes)
        if nbytes * self._high_water > self._max_bytes:
            # ZeroMQ counts messages, not bytes. Lowering is safe at any time; raising can stop a full queue for ever.
            self._high_water = max(1, self._max_bytes // nbytes)
            channel.lower_high_water(self._high_water)
        source, sequence, sent_at = envelope or (None, None, None)
        return Message(payload, topic, sequence, sent_at, source, nbytes)

    def _take(self, plan: Plan) -> list[Any]:
        return self._channel.take(len(plan.layouts), plan.nbytes <= _SMALL)

    def _skipped(self, error: DecodeError) -> None:
        log.warning("%s: skipped a message: %s", self._channel, error)


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
