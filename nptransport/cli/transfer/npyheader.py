"""The header of an .npy file on any stream, such as a member of a zip archive."""

from __future__ import annotations

import ast
import io
import struct
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

__all__ = ["Header", "NotNpy", "can_be_written", "read_header"]

_LONGEST = 2**20  # what a header of a thousand fields takes is a tenth of it


class NotNpy(Exception):
    """No array that can be read without running code; the text says what stood there."""


class Header(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str

    def __str__(self) -> str:
        fields = len(self.dtype.names or ())
        return f"{f'{fields} fields' if fields else self.dtype} {list(self.shape)}"

    def to_bytes(self) -> bytes:
        """As it stands in the file. Of the same length for any number of frames (the axis that grows)."""
        descr = npy.dtype_to_descr(self.dtype)
        entries = {"descr": descr, "fortran_order": self.order == "F", "shape": self.shape}
        stream = io.BytesIO()
        try:
            npy.write_array_header_1_0(stream, entries)
        except UnicodeEncodeError:
            return _header_3_0(entries)
        except ValueError:  # longer than 64 KiB
            stream = io.BytesIO()
            npy.write_array_header_2_0(stream, entries)
        return stream.getvalue()


def read_header(stream: IO[bytes]) -> Header:
    """The header at the beginning of ``stream``, which stands behind it afterwards.

    Raises:
        NotNpy: it is none, or that of an array of objects, which only unpickling could read.
    """
    start = stream.read(npy.MAGIC_LEN)
    if start[:-2] != npy.MAGIC_PREFIX or len(start) < npy.MAGIC_LEN:
        raise NotNpy(f"no .npy: it begins with {start[:8]!r}" if start else "no .npy: it is empty")
    try:
        shape, fortran, dtype = _read(stream, start[-2], start[-1])
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
    except Exception as error:  # noqa: BLE001 - of all kinds that Python's own parser, zlib and NumPy have
        raise NotNpy(f"its .npy header is damaged: {error}".splitlines()[0]) from None
    if dtype.hasobject:
        raise NotNpy("holds Python objects (dtype object), which only pickle can read; convert it with astype first")
    return Header(dtype, shape, "F" if fortran and len(shape) > 1 else "C")


def can_be_written(dtype: np.dtype[Any]) -> bool:
    """Whether an .npy file gives this dtype back as it is."""
    try:
        return not dtype.hasobject and npy.descr_to_dtype(npy.dtype_to_descr(dtype)) == dtype
    except (TypeError, ValueError):
        return False


def _read(stream: IO[bytes], major: int, minor: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if (major, minor) == (1, 0):
        return npy.read_array_header_1_0(stream, _LONGEST)
    if (major, minor) == (2, 0):
        return npy.read_array_header_2_0(stream, _LONGEST)
    if (major, minor) == (3, 0):
        return _read_3_0(stream)
    raise ValueError(f"format version {major}.{minor} is not known")


# NumPy offers no public function for version 3.0: as 2.0, but in UTF-8, for fields that are named beyond Latin-1.


def _read_3_0(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    (length,) = struct.unpack("<I", stream.read(4))
    if length > _LONGEST:
        raise ValueError(f"a header of {length} bytes")
    entries = ast.literal_eval(stream.read(length).decode("utf-8"))
    shape = entries["shape"]
    if not isinstance(shape, tuple) or not all(type(length) is int for length in shape):
        raise ValueError(f"shape {shape!r}")
    return shape, bool(entries["fortran_order"]), npy.descr_to_dtype(entries["descr"])


def _header_3_0(entries: dict[str, Any]) -> bytes:
    # To the byte as NumPy writes it: with room for the longest number in place of any.
    text = "".join(["{", *(f"'{key}': {value!r}, " for key, value in entries.items()), "}"]).encode()
    text += b" " * (npy.GROWTH_AXIS_MAX_DIGITS - len(repr(_growing(entries))))
    start = npy.magic(3, 0)
    padding = -(len(start) + 4 + len(text) + 1) % npy.ARRAY_ALIGN
    return start + struct.pack("<I", len(text) + padding + 1) + text + b" " * padding + b"\n"


def _growing(entries: dict[str, Any]) -> int:
    shape = entries["shape"]
    return (shape[-1] if entries["fortran_order"] else shape[0]) if shape else 0
