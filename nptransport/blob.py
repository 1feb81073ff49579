"""payload ↔ blob: the frames of a message in one bytes object, for a file, a database or an HTTP body.

offset 0            89 4E 50 54 0D 0A 1A 0A, the signature
offset 8            number of frames, uint32 little-endian
offset 12           four zero bytes
offset 16           length of each frame, uint64 little-endian
next multiple of 64 the first frame, then each at the next multiple of 64, with zeros between
"""

from __future__ import annotations

import struct
from typing import Any

from .codec import decode, encode
from .errors import DecodeError, LimitExceeded
from .limits import DEFAULT_LIMITS, Limits

__all__ = ["dumps", "loads"]

SIGNATURE = b"\x89NPT\r\n\x1a\n"  # as PNG's: a transfer that changes line ends or the eighth bit damages it
_HEADER = struct.Struct("<8sII")
_ALIGNMENT = 64

# What people hand in instead, by its first bytes.
_LOOKS_LIKE = (
    (b"\x93NUMPY", "an .npy file", "numpy.load(io.BytesIO(blob))"),
    (b"PK\x03\x04", "a zip archive such as .npz", "numpy.load(io.BytesIO(blob))"),
    (b"\x89PNG", "a PNG picture", "an image reader"),
    (b"\xff\xd8\xff", "a JPEG picture", "an image reader"),
    (b"\x1f\x8b", "gzip", "gzip.decompress(blob) first"),
    (b"\x89HDF", "an HDF5 file", "h5py"),
    (b"{", "JSON", "json.loads(blob)"),
)
_PICKLED_AS_TEXT = b"cnumpy"  # how an array begins in the first protocols of pickle


def dumps(payload: Any, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """One self-describing bytes object for ``payload``: anything that :func:`encode` takes.

    Copies each array once. EncodeError as :func:`encode`.
    """
    frames = encode(payload, limits=limits)
    lengths = [len(frame) for frame in frames]
    header = _HEADER.pack(SIGNATURE, len(frames), 0) + struct.pack(f"<{len(frames)}Q", *lengths)
    pieces: list[bytes | memoryview] = [header]
    at = len(header)
    for frame in frames:
        padding = -at % _ALIGNMENT
        pieces += [bytes(padding), frame]
        at += padding + len(frame)
    return b"".join(pieces)


def loads(blob: Any, *, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The payload of a ``blob`` from :func:`dumps`: bytes, or anything flat with the buffer protocol, as an mmap.

    Arrays are read-only views on ``blob``, which they keep alive.

    Raises:
        DecodeError: it is no such blob, and then the text says what it looks like and what reads that; or it is
            damaged, or more than ``limits`` accept.
    """
    try:
        view = memoryview(blob).toreadonly().cast("B")
    except (TypeError, ValueError, BufferError):
        found, hint = type(blob).__name__, "for a list of frames call decode" if isinstance(blob, (list, tuple)) else ""
        raise DecodeError.of("blob", expected="flat bytes", found=found, hint=hint) from None
    frames: list[Any] = _split(view, limits)
    if frames and len(frames[0]) <= limits.max_metadata_bytes:
        frames[0] = bytes(frames[0])  # by which a decoder knows a layout again
    return decode(frames, limits=limits)


def _split(view: memoryview, limits: Limits) -> list[memoryview]:
    if view[:8] != SIGNATURE:
        found, hint = _look(bytes(view[:64]))
        raise DecodeError.of("blob", expected="one made by dumps", found=found, hint=hint)
    if len(view) < _HEADER.size:
        raise DecodeError.of("blob", expected=f"a header of {_HEADER.size} bytes", found=f"{len(view)}")
    _, count, zero = _HEADER.unpack_from(view)
    if count > limits.max_parts + 1:
        raise LimitExceeded.over("max_parts", limits.max_parts, count - 1)
    at = _HEADER.size + 8 * count
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


def _look(start: bytes) -> tuple[str, str]:
    """What bytes that are no blob look like, and what to call instead."""
    for signature, what, instead in _LOOKS_LIKE:
        if start.startswith(signature):
            return what, f"read it with {instead}" if "(" in instead or " " not in instead else f"use {instead}"
    if (len(start) >= 2 and start[0] == 0x80 and 2 <= start[1] <= 5) or start.startswith(_PICKLED_AS_TEXT):
        return "a pickle", "nptransport never unpickles; load it where you trust it and send the arrays"
    if start[1:5] == b"\xa3npt":
        return "the metadata part of a message", "for a list of frames call decode"
    if not start:
        return "nothing", ""
    if SIGNATURE.startswith(start):
        return f"the first {len(start)} bytes of one", "cut off?"
    return "raw bytes, as from tobytes", "numpy.frombuffer(blob, dtype).reshape(shape), or dumps where they are made"
