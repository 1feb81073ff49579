"""What a subscriber and a proxy have in common: a SUB socket that makes itself known, and what publishers say to it."""

from __future__ import annotations

import os
import time
from typing import Any

import zmq

from .addresses import Addresses
from .channel import Channel
from .errors import DecodeError
from .limits import Limits
from .log import warn
from .protocol.speakers import Speakers
from .protocol.tags import LONGEST, Kind, Mode, Word, is_tagged, read_tag, self_tag, tag
from .receiving import Receiving

__all__ = ["Listening"]

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
        )
        self._number = os.urandom(8)
        self._set_up_receiving(opened, limits, self._number)
        self._speakers = Speakers()
        self._copy_tag = tag(Kind.COPY, self._number)
        self._channel.subscribe(self_tag(self._number, mode, prefixes), True)

    def _read_topic(self, first: bytes) -> bytes | None:
        """The topic, in UTF-8, that a first part stands for; None if what follows is none of our messages, and is for
        the caller to drop. Words are heeded. DecodeError if it is no topic."""
        topic = first
        if is_tagged(first):
            hello = read_tag(first)
            if hello is None or hello.number != self._number:
                return None
            if hello.kind is Kind.SELF:
                document, connection = self._channel.take_word()
                word = Word.unpack(document)
                if connection is not None:
                    self._speakers.heard(connection, word.interval, time.monotonic())
                self._heed(word)
                return None
            topic = hello.rest
        if len(topic) > LONGEST:
            raise DecodeError.of("topic", expected=f"at most {LONGEST} bytes", found=f"{len(topic)}")
        try:
            topic.decode()
        except UnicodeDecodeError:
            raise DecodeError.of("topic", expected="a text in UTF-8", found=f"{topic[:24]!r}") from None
        return topic

    def _heed(self, word: Word) -> None:
        """A publisher or a proxy says where its streams stand."""
        raise NotImplementedError

    def _take_metadata(self) -> bytes:
        """The part behind a topic."""
        if not self._speakers.doubted:
            return self._channel.take_one()
        metadata, connection = self._channel.take_word()
        self._speakers.lives(connection, time.monotonic())
        return metadata

    def _watch(self) -> None:
        """Connect anew where somebody who promised to speak is silent: a network that has died without a word."""
        for connection in self._speakers.silent(time.monotonic()):
            if self._channel.reconnect(connection):
                warn("%s: nothing heard any more, connecting anew", self._channel)
