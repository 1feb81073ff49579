"""frames ↔ blob: those of one message in one piece, in a file as on the wire.

offset 0            89 4E 50 54 0D 0A 1A 0A, the signature
offset 8            number of frames, uint32 little-endian
offset 12           four zero bytes
offset 16           length of each frame, uint64 little-endian
next multiple of 64 the first frame, then each at the next multiple of 64, with zeros between
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..errors import DecodeError, LimitExceeded
from ..limits import Limits

__all__ = [
    "MOST_AROUND",
    "MOST_JOINED",
    "PAIR_HEAD",
    "SIGNATURE",
    "around",
    "buffer_at",
    "is_blob",
    "join_frames",
    "should_join",
    "split_blob",
]

SIGNATURE = b"\x89NPT\r\n\x1a\n"  # as PNG's: a transfer that changes line ends or the eighth bit damages it
MOST_JOINED = 32 * 1024
"""Bytes of the buffers of a message that goes in one part: each part costs both sides about as much as copying them."""
MOST_AROUND = 1024
"""Bytes of such a blob that are neither metadata nor buffers, at the most."""
_HEADER = struct.Struct("<8sII")
_LENGTH = 8
_ALIGNMENT = 64
_MOST_FRAMES = (MOST_AROUND - _HEADER.size) // (_LENGTH + _ALIGNMENT)
PAIR_HEAD = 64
"""Where the metadata begins in a blob of it and one buffer."""

Buffer = bytes | memoryview


def is_blob(first: Buffer) -> bool:
    """Whether what begins with ``first`` is one. No metadata and no text begins so."""
    return first[:8] == SIGNATURE


def join_frames(frames: Sequence[Buffer]) -> bytes:
    """One blob; each frame is copied once."""
    header = _HEADER.pack(SIGNATURE, len(frames), 0) + struct.pack(f"<{len(frames)}Q", *map(len, frames))
    pieces: list[Buffer] = [header]
    at = len(header)
    for frame in frames:
        padding = -at % _ALIGNMENT
        pieces += [bytes(padding), frame]
        at += padding + len(frame)
    return b"".join(pieces)


def should_join(frames: Sequence[Buffer]) -> bool:
    """Whether a message of these is the quicker in one part."""
    return 1 < len(frames) <= _MOST_FRAMES and sum(map(len, frames[1:])) <= MOST_JOINED


def around(metadata: int, buffer: int) -> tuple[bytes, bytes]:
    """What stands in front of the metadata, and between that and the one buffer, where they have so many bytes each."""
    header = _HEADER.pack(SIGNATURE, 2, 0) + struct.pack("<2Q", metadata, buffer)
    return header.ljust(PAIR_HEAD, b"\0"), bytes(-metadata % _ALIGNMENT)


def buffer_at(metadata: int) -> int:
    """Where the one buffer begins, behind ``metadata`` of so many bytes."""
    return PAIR_HEAD + metadata + -metadata % _ALIGNMENT


def split_blob(blob: Buffer, limits: Limits) -> list[memoryview]:
    """The frames of a ``blob`` that begins with the signature, as views on it; DecodeError if it is damaged."""
    view = memoryview(blob)
    if len(view) < _HEADER.size:
        raise DecodeError.of("blob", expected=f"a header of {_HEADER.size} bytes", found=f"{len(view)}")
    _, count, zero = _HEADER.unpack_from(view)
    if count > limits.max_parts + 1:
        raise LimitExceeded.over("max_parts", limits.max_parts, count - 1)
    at = _HEADER.size + _LENGTH * count
    if zero or at > len(view):
        raise DecodeError.of("blob header", expected=f"zeros and {count} lengths", found=f"{len(view)} bytes")
    frames = []
    for length in struct.unpack_from(f"<{count}Q", view, _HEADER.size):
        at += -at % _ALIGNMENT
        if at + length > len(view):
            raise DecodeError.of("blob", expected=f"{at + length} bytes or more", found=f"{len(view)}", hint="cut off?")
        frames.append(view[at : at + length])
        at += length
    if at != len(view):
        raise DecodeError.of("blob", expected=f"{at} bytes", found=f"{len(view)}")
    return frames
