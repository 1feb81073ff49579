"""One file on its way in: what is announced, what comes, and whether that is the same."""

from __future__ import annotations

import math

import numpy as np

from .containers import Container, NpyContainer, NpzContainer
from .digest import Digest, flat_bytes
from .names import check_file_name, check_member_name
from .npyheader import Header, can_be_written
from .partfile import PartFile
from .sources import BadFile, SourceArray, read_arrays
from .words import Array, End, Frame

__all__ = ["BadStream", "Differs", "Incoming"]

_READ_BACK = 2**24  # bytes at a time


class BadStream(Exception):
    """What came does not make the file that was announced; the text says why."""


class Differs(BadStream):
    """The file is written, but is not known to be what the sender read."""


class Incoming:
    """A file that is being received.

    All methods raise BadStream for what does not fit together, BadName for a name that must not be used here, and
    OSError where the disk has no room, say. Then nothing is left but to :meth:`discard` it.
    """

    def __init__(self, folder: str, name: str, *, overwrite: bool) -> None:
        self.name = name
        self.nbytes = 0
        self.frames = 0
        self.arrays: list[str] = []
        """dtype and shape of each that is complete."""
        self._part = PartFile(folder, check_file_name(name), overwrite=overwrite)
        self._container: Container = (NpzContainer if name.endswith(".npz") else NpyContainer)(self._part.file)
        self._array: Array | None = None
        self._elements = 0
        self._came = 0
        self._digests: list[str | None] = []

    @property
    def path(self) -> str:
        return self._part.path

    def begin(self, array: Array) -> None:
        if self._array is not None:
            raise BadStream("an array began before the one before had ended")
        if not can_be_written(array.dtype):
            raise BadStream(f"dtype {array.dtype} cannot be kept in an .npy file")
        self._array, self._elements, self._came = array, 0, 0
        try:
            self._container.begin(array.member and check_member_name(array.member), _header(array, 0))
        except ValueError as error:
            raise BadStream(str(error)) from None

    def write(self, frame: Frame) -> None:
        array = self._announced()
        if frame.frame != self._came:
            lost = f"frame {self._came} is missing, frame {frame.frame} came"
            raise BadStream(f"{lost}; is there one receiver to each sender, and no other?")
        piece = frame.array
        if piece.dtype != array.dtype:
            raise BadStream(f"a frame of {piece.dtype} came for an array of {array.dtype}")
        self._elements += piece.size
        if None not in array.shape and self._elements > math.prod(_header(array, 0).shape):
            raise BadStream(f"more came than an array {list(array.shape)} holds")
        self._container.write(flat_bytes(piece, array.order))
        self._came += 1
        self.frames += 1
        self.nbytes += piece.nbytes

    def end(self, end: End) -> None:
        header = _header(self._announced(), end.frames)
        if end.frames != self._came or self._elements != math.prod(header.shape):
            raise BadStream(f"{self._came} of {end.frames} frames came, {self._elements} elements for {header.shape}")
        try:
            if not self._elements:
                np.empty(header.shape, header.dtype)  # lengths beside a 0 whose product NumPy cannot hold
            self._container.end(header)
        except ValueError as error:
            raise BadStream(str(error)) from None
        self._array = None
        self._digests.append(end.digest)
        self.arrays.append(str(header))

    def finish(self, *, demand: bool) -> bool:
        """The sender says that this is all: give it its name.

        Returns:
            Whether it was found to be what the sender read. That needs digests; Differs if ``demand`` and there are
            none, or if they do not match.
        """
        if self._array is not None or not self._digests:
            raise BadStream("it ended in the middle of an array" if self._array else "it holds no array")
        self._container.close()
        self._part.file.flush()
        verified = None not in self._digests
        if verified:
            self._verify()
        elif demand:
            raise Differs("not verified: the sender gave no digest; run `nptransport send` with --verify, too")
        self._part.commit()
        return verified

    def discard(self) -> None:
        """Remove what has been written."""
        self._container.abandon()
        self._part.discard()

    def _announced(self) -> Array:
        if self._array is None:
            raise BadStream("a frame came before its array was announced")
        return self._array

    def _verify(self) -> None:
        try:
            found = [_digest(array) for array in read_arrays(self._part.part, split=False, largest=_READ_BACK)]
        except BadFile as error:
            raise Differs(f"the file cannot be read back: {error}") from None
        if found != self._digests:
            raise Differs("what stands in the file differs from what the sender read")


def _header(array: Array, frames: int) -> Header:
    """As announced, with ``frames`` where their number was left open."""
    return Header(array.dtype, tuple(frames if length is None else length for length in array.shape), array.order)


def _digest(array: SourceArray) -> str:
    digest = Digest()
    for piece in array.pieces:
        digest.update(flat_bytes(piece, array.order))
    return digest.hexdigest(Header(array.dtype, tuple(n or 0 for n in array.shape), array.order))
