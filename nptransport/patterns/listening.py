"""What a subscriber and a proxy have in common: a SUB socket that makes itself known, and what publishers say to it."""

from __future__ import annotations

import os
import time
from typing import Any

import zmq

from ..codec.metadata import is_topic
from ..errors import DecodeError
from ..limits import Limits
from ..protocol.copies import read
from ..protocol.speakers import Speakers
from ..protocol.tags import LONGEST, Kind, Mode, Word, is_tagged, read_tag, self_tag, tag
from ..transport.addresses import Addresses
from ..transport.channel import Channel
from ..transport.curve import Curve
from .receiving import Receiving

__all__ = ["Listening"]

_TOPICS = 4096  # remembered with their text
_OPTIONS: dict[int, int] = {
    zmq.SNDHWM: 0,  # no subscription is ever dropped
    # A publisher that comes back is found within a second or two.
    zmq.RECONNECT_IVL_MAX: 1000,
    zmq.CONNECT_TIMEOUT: 2000,
    zmq.HANDSHAKE_IVL: 3000,
}


class Listening(Receiving):
    """Receives messages as a plain subscriber does, and copies and words of its own from publishers of ours."""

    def _open_frontend(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        mode: Mode,
        prefixes: int,
        max_messages: int,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None = None,
        names: tuple[str, str] = ("bind", "connect"),
    ) -> None:
        """Open the socket, and say who it is and how many ``prefixes`` it is going to ask for."""
        opened = channel(
            zmq.SUB,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=limits.max_total_bytes,
            options=_OPTIONS,
            context=context,
            security=security,
            names=names,
        )
        self._number = os.urandom(8)
        self._set_up_receiving(opened, limits, self._number)
        self._speakers = Speakers()
        self._names: dict[bytes, str] = {}
        self._copy_tag = tag(Kind.COPY, self._number)
        self._channel.subscribe(self_tag(self._number, mode, prefixes), True)

    def _opening(self, first: bytes) -> tuple[str, bytes, bytes | None] | None:
        """Topic, metadata, and the buffer if it is in it, of the message that begins with ``first``; None if it is no
        message for us, and for the caller to drop. Words are heeded. DecodeError if it cannot be read."""
        buffer = None
        if self._speakers.doubted:
            self._speakers.lives(self._speaker(), time.monotonic())
        if first.startswith(self._copy_tag):
            topic, metadata, buffer = read(first, len(self._copy_tag))
        elif is_tagged(first):
            self._hear(first)
            return None
        elif is_topic(first):
            topic, metadata = first, self._channel.take_one()
        else:
            topic, metadata = b"", first
        name = self._names.get(topic)
        return (self._learn(topic) if name is None else name), metadata, buffer

    def _hear(self, first: bytes) -> None:
        hello = read_tag(first)
        if hello is None or hello.kind is not Kind.SELF or hello.number != self._number:
            return
        connection = self._speaker()
        word = Word.unpack(self._channel.take_one())
        if connection is not None:
            self._speakers.heard(connection, word.interval, time.monotonic())
        self._heed(word)

    def _speaker(self) -> int | None:
        """The number of the connection that the message begun has come on."""
        return self._channel.connections.number_of(self._channel.connection())

    def _learn(self, topic: bytes) -> str:
        if len(topic) > LONGEST:
            raise DecodeError.of("topic", expected=f"at most {LONGEST} bytes", found=f"{len(topic)}")
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            raise DecodeError.of("topic", expected="a text in UTF-8", found=f"{topic[:24]!r}") from None
        if len(self._names) >= _TOPICS:
            self._names.clear()
        self._names[topic] = name
        return name

    def _heed(self, word: Word) -> None:
        """A publisher or a proxy says where its streams stand."""
        raise NotImplementedError

    def _watch(self) -> None:
        """Connect anew where somebody who promised to speak is silent: a network that has died without a word."""
        for number in self._speakers.silent(time.monotonic()):
            connection = self._channel.connections.numbered(number)
            if connection is not None and self._channel.reconnect(connection):
                self._channel.complaints.say("%s: nothing heard any more, connecting anew", self._channel)
        self._channel.retry_refused()
