"""A file that appears under its name when it is whole, and leaves nothing behind when it is not."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import IO

__all__ = ["PartFile"]


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
        self.part = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
        # Not one of tempfile's: it is to have the permissions that any new file here has.
        self.file: IO[bytes] = open(self.part, "xb")  # noqa: SIM115 - open until commit or discard

    def commit(self) -> None:
        """Give it its name."""
        self.file.close()
        self._check_free()
        os.replace(self.part, self.path)

    def discard(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            os.unlink(self.part)

    def _check_free(self) -> None:
        if not self._overwrite and os.path.lexists(self.path):
            raise FileExistsError(f"{self.path} exists; move it away, or give --overwrite")
