"""The copy of a message for one subscriber: what comes in it before the buffers, in as few parts as possible.

Each part costs a receiver as much as copying 16 KB. So metadata shares a part with the topic, and with a small buffer
if that is the only one: T FF metadata, or T FF n metadata buffer, with n, the length of metadata, in two bytes,
big-endian. Metadata begins with a byte above 7F, and so n is below 8000 (hexadecimal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DecodeError

__all__ = ["END", "LENGTH_BYTES", "Opening", "begin", "parts_of", "read", "whole"]

_ALONE = 8192
"""Bytes of an only buffer up to which it shares the part with its metadata."""
END = b"\xff"
"""Of the topic."""
LENGTH_BYTES = 2
"""Of the length of metadata that shares its part with a buffer."""
_LONGEST_METADATA = 0x7FFF


Opening = tuple[bytes, bytes, bytes | None]
"""Topic, metadata, and the only buffer if it shares their part."""


def whole(metadata: bytes, buffer: Any) -> bytes | None:
    """All that follows the topic if that is to be one part; None if the buffer is to be a part of its own."""
    if memoryview(buffer).nbytes > _ALONE or len(metadata) > _LONGEST_METADATA:
        return None
    return b"".join((END, len(metadata).to_bytes(LENGTH_BYTES, "big"), metadata, buffer))


def begin(metadata: bytes) -> bytes:
    """What follows the topic in the first part of several."""
    return END + metadata


def parts_of(frames: Sequence[Any], joined: bool) -> list[Any]:
    """Metadata and buffers as what follows the topic, and the parts behind it; ``joined``: with a small only buffer."""
    metadata, *buffers = frames
    if joined and len(buffers) == 1:
        rest = whole(metadata, buffers[0])
        if rest is not None:
            return [rest]
    return [begin(metadata), *buffers]


def read(first: bytes, at: int) -> Opening:
    """The first part of a copy whose topic begins ``at`` a place in it; or DecodeError."""
    end = first.find(END, at)
    begun = end + 1
    if end < 0 or begun == len(first):
        raise _malformed(first)
    lead = first[begun]
    if lead > 0x7F:
        return first[at:end], first[begun:], None
    metadata_at = begun + LENGTH_BYTES
    if metadata_at > len(first):
        raise _malformed(first)
    buffer_at = metadata_at + (lead << 8 | first[begun + 1])
    if buffer_at > len(first):
        raise _malformed(first)
    return first[at:end], first[metadata_at:buffer_at], first[buffer_at:]


def _malformed(first: bytes) -> DecodeError:
    return DecodeError.of("copy of a message", expected="FF and metadata behind the topic", found=f"{first[:40]!r}")
