"""A file that appears under its name when it is whole, and leaves nothing behind when it is not."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from typing import IO

if sys.platform != "win32":
    import fcntl

__all__ = ["PartFile", "sweep"]

_PART = re.compile(r"\..+\.np[yz]\.[0-9a-f]{8}\.part")


class PartFile:
    """A file under a hidden temporary name beside the final one, until :meth:`commit`.

    Raises:
        FileExistsError: something has the final name, and ``overwrite`` is false. So does :meth:`commit`.
        OSError: it cannot be written here.
    """

    def __init__(self, folder: str, name: str, *, overwrite: bool) -> None:
        self.path = os.path.join(folder, name)
        self._overwrite = overwrite
        self._check_free()
        while True:
            self.part = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
            # Not one of tempfile's: it is to have the permissions that any new file here has.
            self.file: IO[bytes] = open(self.part, "xb")  # noqa: SIM115 - open until commit or discard
            with contextlib.suppress(OSError):  # a file system without locks; nothing is swept there
                _lock(self.file, wait=True)
            if os.fstat(self.file.fileno()).st_nlink:
                break
            self.file.close()  # somebody swept it before it was locked

    def commit(self) -> None:
        """Give it its name."""
        self._check_free()
        self.file.flush()
        if sys.platform == "win32":
            self.file.close()  # nobody can rename there what is open; elsewhere it is locked until it has its name
        os.replace(self.part, self.path)
        self.file.close()

    def discard(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            os.unlink(self.part)

    def _check_free(self) -> None:
        if not self._overwrite and os.path.lexists(self.path):
            raise FileExistsError(f"{self.path} exists; move it away, or give --overwrite")


def sweep(folder: str) -> list[str]:
    """Remove what has been left in ``folder`` by who was killed before a file was whole; the names.

    What somebody is writing is locked, and stays.
    """
    if sys.platform == "win32":
        return []
    swept = []
    for entry in list(os.scandir(folder)):
        ours = _PART.fullmatch(entry.name) and entry.name.isprintable()
        if ours and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError), open(entry.path, "rb") as file:
                _lock(file, wait=False)
                os.unlink(entry.path)
                swept.append(entry.name)
    return swept


def _lock(file: IO[bytes], *, wait: bool) -> None:
    """OSError if somebody else has it locked, or this file system has no locks."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
