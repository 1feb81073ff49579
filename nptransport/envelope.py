"""The envelope: who sent a message, as which one in its row, and when."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

from . import packing
from .errors import DecodeError

__all__ = ["Envelope", "EnvelopeWriter"]

_SOURCE_LENGTH = 16
# The entry as our encoder writes it: text of 16, uint 64, float 64, so that every field has a fixed place.
_PREFIX = packing.pack("envelope") + bytes([0x93, 0xA0 | _SOURCE_LENGTH])
_FIXED = struct.Struct(f">{len(_PREFIX)}s{_SOURCE_LENGTH}sBQBd")
_UINT64, _FLOAT64 = 0xCF, 0xCB


class Envelope(NamedTuple):
    """What an endpoint writes on each message."""

    source: str
    """Unique to one endpoint's life: a restart is another source."""
    sequence: int
    """0 for the source's first message, then one more each."""
    sent_at: float
    """Seconds since 1970 on the sender's clock."""

    @staticmethod
    def split(metadata: bytes, at: int) -> tuple[Envelope | None, bytes]:
        """The entry that stands at ``at`` in the form our encoder writes, and what follows it; else (None, all)."""
        if metadata.startswith(_PREFIX, at) and len(metadata) >= at + _FIXED.size:
            _, source, uint, sequence, float_, sent_at = _FIXED.unpack_from(metadata, at)
            if uint == _UINT64 and float_ == _FLOAT64 and source.isascii() and math.isfinite(sent_at):
                return Envelope(source.decode("ascii"), sequence, sent_at), metadata[at + _FIXED.size :]
        return None, metadata[at:]

    @staticmethod
    def read(entry: Any) -> Envelope:
        """The entry in any spelling that msgpack allows, or DecodeError. Further elements are for later versions."""
        if isinstance(entry, list) and len(entry) >= 3:
            source, sequence, sent_at = entry[:3]
            if (
                isinstance(source, str)
                and len(source) <= 64
                and type(sequence) is int
                and sequence >= 0
                and type(sent_at) in (int, float)
                and math.isfinite(sent_at)
            ):
                return Envelope(source, sequence, float(sent_at))
        raise DecodeError.of("envelope", expected="[source, sequence, sent_at]", found=f"{entry!r:.80}")


class EnvelopeWriter:
    """Writes the entries of one source, numbered from 0."""

    _REST = struct.Struct(">QBd")

    def __init__(self, source: str) -> None:
        self.source = source
        self.sequence = 0
        self._start = _PREFIX + source.encode("ascii") + bytes([_UINT64])
        assert len(source) == _SOURCE_LENGTH

    def entry(self, sent_at: float) -> bytes:
        """The entry for the message with the present ``sequence``."""
        return self._start + self._REST.pack(self.sequence, _FLOAT64, sent_at)

    def renew(self, metadata: bytes, at: int, sent_at: float) -> bytes:
        """``metadata``, whose entry stands at ``at``, with the present ``sequence`` and another time."""
        return metadata[:at] + self.entry(sent_at) + metadata[at + _FIXED.size :]
