"""payload ↔ blob: the frames of a message in one bytes object, for a file, a database or an HTTP body."""

from __future__ import annotations

from typing import Any

from ..errors import DecodeError
from ..limits import DEFAULT_LIMITS, Limits
from .frames import decoder_for, encode
from .framing import SIGNATURE, is_blob, join_frames

__all__ = ["dumps", "loads"]

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
# How an array begins in the first protocols of pickle, and a dict and a list in the very first.
_SPACE = dict.fromkeys(map(ord, "\t\r\n"))
_PICKLED_AS_TEXT = (b"cnumpy", b"(dp", b"(lp")


def dumps(payload: Any, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """One self-describing bytes object for ``payload``: anything that :func:`encode` takes.

    Copies each array once. EncodeError as :func:`encode`.
    """
    return join_frames(encode(payload, limits=limits))


def loads(blob: Any, *, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The payload of a ``blob`` from :func:`dumps`: bytes, or any flat buffer, such as an mmap.

    Arrays are read-only views on ``blob``, which they keep alive.

    Raises:
        DecodeError: it is no such blob, and then the error says what it looks like and what reads that; or it is
            damaged, or more than ``limits`` accept.
    """
    try:
        view = memoryview(blob).toreadonly().cast("B")
    except (TypeError, ValueError, BufferError):
        found, hint = type(blob).__name__, "for a list of frames call decode" if isinstance(blob, (list, tuple)) else ""
        raise DecodeError.of("blob", expected="flat bytes", found=found, hint=hint) from None
    if not is_blob(view):
        found, hint = _look(bytes(view[:64]))
        raise DecodeError.of("blob", expected="one made by dumps", found=found, hint=hint)
    return decoder_for(limits).decode_blob(view)


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
    if start.isascii() and start.decode().translate(_SPACE).isprintable():
        return "text", "decode base64 or hex first; json.loads reads JSON, numpy.frombuffer raw bytes"
    return "raw bytes, as from tobytes", "numpy.frombuffer(blob, dtype).reshape(shape), or dumps where they are made"
