"""FILE → arrays, described first and then read piece by piece: no file has to fit into memory."""

from __future__ import annotations

import lzma
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from .cut import Cut
from .names import BadName, check_file_name, check_member_name
from .npyheader import Header, NotNpy, read_header

__all__ = ["BadFile", "Source", "SourceArray", "open_source", "read_arrays"]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# What zipfile raises for damaged archives, besides OSError: its own, and those of the decompressors and of parsing.
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)


class BadFile(Exception):
    """A file that holds no array that could be sent; the text says why."""


class SourceArray(NamedTuple):
    """One array of a file: what it is, and its pieces in the order in which they lie there."""

    member: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    order: str
    frames: int | None
    pieces: Iterator[np.ndarray[Any, Any]]
    """Each is there until the next one is asked for."""


class Source(NamedTuple):
    """A file that was found to hold arrays."""

    name: str
    """Under which it travels."""
    nbytes: int | None
    """Of all its arrays; about that for a video, None if nothing tells."""
    arrays: Callable[[], Iterator[SourceArray]]
    """Opens the file anew. BadFile or OSError if it has gone bad meanwhile."""


def open_source(path: str, *, split: bool, largest: int) -> Source:
    """The file at ``path``, looked at as far as to know that it can be sent.

    Args:
        split: its arrays go frame by frame along the first axis; else whole, as far as ``largest`` bytes allow.

    Raises:
        BadFile: it holds no array, or is cut off, or its name cannot travel.
        OSError: it cannot be read.
    """
    suffix = _suffix(path)
    name = os.path.basename(path)
    name = name if suffix and name.endswith(suffix) else name + (suffix or ".npy")
    try:
        check_file_name(name)
    except BadName as error:
        raise BadFile(f"its name cannot travel: {error}; rename it") from None
    if not suffix:
        from . import media  # its packages are an extra

        return media.open_media(path, name)
    headers = [_look_into_npy(path)[0]] if suffix == ".npy" else [header for _, header, _ in _members(path)]
    if not headers:
        raise BadFile("holds no array")
    return Source(name, sum(map(_nbytes, headers)), lambda: read_arrays(path, split=split, largest=largest))


def read_arrays(path: str, *, split: bool, largest: int) -> Iterator[SourceArray]:
    """The arrays of an .npy or .npz; arguments and errors as for :func:`open_source`."""
    return (_npz_arrays if _suffix(path) == ".npz" else _npy_arrays)(path, split, largest)


def _suffix(path: str) -> str:
    """ ".npy" or ".npz" if the file is one, or says it is; else ""."""
    kind = os.stat(path).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe would be waited for; a folder says itself what it is
        raise BadFile("no regular file but a pipe or a device, which cannot be read twice; save it to a file first")
    with open(path, "rb") as file:
        start = file.read(len(npy.MAGIC_PREFIX))
    if start == npy.MAGIC_PREFIX or start.startswith(_ZIP):
        return ".npz" if start.startswith(_ZIP) else ".npy"
    return os.path.splitext(path)[1] if path.endswith((".npy", ".npz")) else ""


def _nbytes(header: Header) -> int:
    return math.prod(header.shape) * header.dtype.itemsize


# .npy


def _look_into_npy(path: str) -> tuple[Header, int]:
    """Header, and where the elements begin."""
    with open(path, "rb") as file:
        try:
            header, offset = read_header(file), file.tell()
        except NotNpy as error:
            raise BadFile(str(error)) from None
        size = os.fstat(file.fileno()).st_size
    if size < offset + _nbytes(header):
        raise BadFile(f"cut off: its header promises {offset + _nbytes(header)} bytes, the file has {size}")
    return header, offset


def _npy_arrays(path: str, split: bool, largest: int) -> Iterator[SourceArray]:
    header, offset = _look_into_npy(path)
    with open(path, "rb") as file:
        file.seek(offset)
        yield _describe("", header, file, split, largest)


# .npz


def _npz_arrays(path: str, split: bool, largest: int) -> Iterator[SourceArray]:
    for name, header, stream in _members(path):
        yield _describe(name, header, stream, split, largest)


def _members(path: str) -> Iterator[tuple[str, Header, IO[bytes]]]:
    """Name and header of each member, and its stream at the first element; each gone when the next one comes."""
    name = ""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if not name.endswith(".npy"):
                    raise BadFile(f"its member {name!a} is no .npy")
                with archive.open(entry) as stream:
                    header = read_header(stream)
                    if stream.tell() + _nbytes(header) > entry.file_size:
                        raise BadFile(f"its member {name!a} is cut off")
                    yield check_member_name(name.removesuffix(".npy")), header, stream
    except NotNpy as error:
        raise BadFile(f"its member {name!a} {error}") from None
    except BadName as error:
        raise BadFile(f"the name of a member cannot travel: {error}") from None
    except _BROKEN_ZIP as error:
        where = f"its member {name!a}" if name else "no .npz that can be read"
        raise BadFile(f"{where}: {error or type(error).__name__}") from None


# Both


def _describe(member: str, header: Header, stream: IO[bytes], split: bool, largest: int) -> SourceArray:
    cut = Cut(header, split, largest)
    pieces = cut.pieces(_reader(member, header, stream))
    return SourceArray(member, header.dtype, header.shape, header.order, cut.frames, pieces)


def _reader(member: str, header: Header, stream: IO[bytes]) -> Callable[[int, int], np.ndarray[Any, Any]]:
    """Reads elements, one run after another, into memory that is used again for the next.

    Not a memory map: a file that is cut off meanwhile, or a network drive that goes away, would end the process.
    """
    memory = np.empty(0, np.uint8)
    where = f"its member {member!a}: " if member else ""

    def read(start: int, stop: int) -> np.ndarray[Any, Any]:
        nonlocal memory
        wanted = (stop - start) * header.dtype.itemsize
        if not wanted:
            return np.empty(stop - start, header.dtype)
        if memory.nbytes < wanted:
            memory = np.empty(wanted, np.uint8)
        filled = 0
        while filled < wanted:
            try:
                count = stream.readinto(memory[filled:wanted].data)  # type: ignore[attr-defined]
            except _BROKEN_ZIP as error:
                raise BadFile(f"{where}{error or type(error).__name__}") from None
            if not count:
                raise BadFile(f"{where}cut off")
            filled += count
        return memory[:wanted].view(header.dtype)

    return read
