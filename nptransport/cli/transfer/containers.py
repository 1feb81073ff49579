"""Arrays as they come, written into one .npy or .npz on an open file."""

from __future__ import annotations

import contextlib
import zipfile
from typing import IO

from .npyheader import Header

__all__ = ["Container", "NpyContainer", "NpzContainer"]


class Container:
    """Takes arrays one after another, each as a header, its bytes in any number of pieces, and an end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stream = file

    def begin(self, member: str, header: Header) -> None:
        """The array ``member`` comes next. Its header may claim no frames where their number is not known yet."""
        raise NotImplementedError

    def write(self, data: memoryview) -> None:
        self._stream.write(data)

    def end(self, header: Header) -> None:
        """The array is complete, and this is its header."""
        raise NotImplementedError

    def close(self) -> None:
        """No array comes any more."""

    def abandon(self) -> None:
        """The file is going to be removed."""


class NpyContainer(Container):
    """One array, from the beginning of the file."""

    def begin(self, member: str, header: Header) -> None:
        if member or self._file.tell():
            raise ValueError("an .npy file holds one array")
        self._file.write(header.to_bytes())

    def end(self, header: Header) -> None:
        self._file.seek(0)
        self._file.write(header.to_bytes())


class NpzContainer(Container):
    """Any number of named arrays, not compressed, as numpy.savez writes them."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._archive = zipfile.ZipFile(file, "w")

    def begin(self, member: str, header: Header) -> None:
        name = f"{member}.npy"
        if not member or name in self._archive.namelist():
            raise ValueError(f"a second member {member!a}" if member else "a member without a name")
        self._stream = self._archive.open(name, "w", force_zip64=True)
        self._header = header
        self._stream.write(header.to_bytes())

    def end(self, header: Header) -> None:
        if header != self._header:
            raise ValueError("a member of an .npz has to tell its shape at its beginning")
        self._stream.close()

    def close(self) -> None:
        self._archive.close()

    def abandon(self) -> None:
        # Once each, so that the archive does not try again, and complain, when it is collected.
        for close in (self._stream.close, self._archive.close):
            with contextlib.suppress(OSError, ValueError):
                close()
