"""The envelope: who sent a message, as which one in its row, and when."""

from __future__ import annotations

import math
import struct
from typing import Any

from ..errors import DecodeError
from . import packing

__all__ = [
    "ENTRY_SIZE",
    "FOREVER",
    "MOST",
    "NUMBERS_AT",
    "Envelope",
    "EnvelopeReader",
    "EnvelopeWriter",
    "read_envelope",
    "read_numbers",
    "write_numbers",
]

_SOURCE_LENGTH = 16
MOST = 2**64 - 1
"""Above every sequence, so that the number of the message that follows one is a uint64, too."""
# The entry as our encoder writes it: text of 16, uint 64, float 64, so that every field has a fixed place.
_PREFIX = packing.pack("envelope") + bytes([0x93, 0xA0 | _SOURCE_LENGTH])
_NUMBERS = struct.Struct(">QBd")
NUMBERS_AT = len(_PREFIX) + _SOURCE_LENGTH + 1  # where in an entry they begin
ENTRY_SIZE = NUMBERS_AT + _NUMBERS.size
_UINT64, _FLOAT64 = 0xCF, 0xCB
FOREVER = float("inf")
_SOURCES = 1024  # remembered; a peer that is another one with each message cannot fill memory

Envelope = tuple[str, int, float]
"""Source, unique to one endpoint's life; sequence, from 0; time of sending, in seconds since 1970 on its clock."""


def read_envelope(entry: Any) -> Envelope:
    """The entry in any spelling that msgpack allows, or DecodeError. Further elements are for later versions."""
    if isinstance(entry, list) and len(entry) >= 3:
        source, sequence, sent_at = entry[:3]
        if (
            isinstance(source, str)
            and len(source) <= 64
            and type(sequence) is int
            and 0 <= sequence < MOST
            and type(sent_at) in (int, float)
            and math.isfinite(sent_at)
        ):
            return source, sequence, float(sent_at)
    raise DecodeError.of("envelope", expected="[source, sequence, sent_at]", found=f"{entry!r:.80}")


def write_numbers(sequence: int, sent_at: float) -> bytes:
    """The end of an entry as our encoder writes it."""
    return _NUMBERS.pack(sequence, _FLOAT64, sent_at)


def read_numbers(metadata: bytes, at: int) -> tuple[int, float] | None:
    """Sequence and time of an entry as our encoder writes it; None if they are none. ``at``: where they are."""
    sequence, float_, sent_at = _NUMBERS.unpack_from(metadata, at)
    if float_ == _FLOAT64 and -FOREVER < sent_at < FOREVER and sequence < MOST:
        return sequence, sent_at
    return None


class EnvelopeReader:
    """Splits metadata whose envelope is written as :class:`EnvelopeWriter` writes it, without unpacking the rest.

    Args:
        head: what has to stand between the first byte and the entry.
    """

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._at = at = 1 + len(head)
        self._numbers_at = at + NUMBERS_AT
        self._end = at + ENTRY_SIZE
        self._sources: dict[bytes, str] = {}

    def split(self, metadata: bytes) -> tuple[Envelope | None, bytes]:
        """The envelope and what follows it; None and all behind the head, if it is absent or written otherwise."""
        start = metadata[: self._numbers_at]  # the same for all messages of a source
        source = self._sources.get(start)
        if source is None:
            source = self._read_source(start)
        if source is not None and len(metadata) >= self._end:
            numbers = read_numbers(metadata, self._numbers_at)
            if numbers is not None:
                return (source, *numbers), metadata[self._end :]
        return None, metadata[self._at :]

    def _read_source(self, start: bytes) -> str | None:
        entry = start[self._at :]
        source = entry[len(_PREFIX) : -1]
        if not start.startswith(self._head, 1) or not entry.startswith(_PREFIX):
            return None
        if entry[-1] != _UINT64 or not source.isascii():
            return None
        if len(self._sources) >= _SOURCES:
            self._sources.clear()
        self._sources[start] = source.decode("ascii")
        return self._sources[start]


class EnvelopeWriter:
    """Writes the entries of one source, numbered from 0.

    Args:
        head: what stands in front of the entry in metadata whose only other entry is one more.
    """

    def __init__(self, source: str, head: bytes) -> None:
        assert len(source) == _SOURCE_LENGTH
        self.sequence = 0
        self._entry = _PREFIX + source.encode("ascii") + bytes([_UINT64])
        self._metadata = head + self._entry
        self._one_more = bytes([head[0] + 1]) + head[1:] + self._entry

    def entry(self, sent_at: float) -> bytes:
        """The entry for the message with the present ``sequence``."""
        return self._entry + _NUMBERS.pack(self.sequence, _FLOAT64, sent_at)

    def metadata(self, sent_at: float, body: bytes) -> bytes:
        """Head, entry and ``body`` in one."""
        return self._metadata + _NUMBERS.pack(self.sequence, _FLOAT64, sent_at) + body

    def head(self, before: bytes) -> bytes:
        """``before``, head, and the entry up to its numbers, for :meth:`whole`."""
        return before + self._metadata

    def whole(self, head: bytes, sent_at: float, body: bytes, content: Any) -> bytes:
        """As :meth:`metadata`, with ``content``, anything that has the buffer protocol, behind it."""
        return b"".join((head, _NUMBERS.pack(self.sequence, _FLOAT64, sent_at), body, content))

    def start(self, sent_at: float) -> bytes:
        """Head and entry of metadata that has one entry more before its body."""
        return self._one_more + _NUMBERS.pack(self.sequence, _FLOAT64, sent_at)

    def renew(self, metadata: bytes, at: int, sent_at: float) -> bytes:
        """``metadata``, whose entry stands at ``at``, with the present ``sequence`` and another time."""
        return metadata[:at] + self.entry(sent_at) + metadata[at + ENTRY_SIZE :]
