"""Where the sockets of shm:// addresses lie: a folder of the user's own, or the one that the address names. And the
files of sockets that are bound here."""

from __future__ import annotations

import contextlib
import os
import re
import stat

from ..errors import AddressError

__all__ = ["SocketFiles", "allowed_users", "side_channel", "socket_of"]

_FOLDER = "NPTRANSPORT_SHM_DIR"
_ALLOW = "NPTRANSPORT_SHM_ALLOW"
_NAME = r"[\w.-]+"
_LONGEST = 107  # sockaddr_un holds 108 bytes with the closing zero
_SIDE = "npt-{}.side"


def socket_of(address: str) -> str:
    """Path of the socket of a shm:// address. AddressError if that is malformed, or its folder is not safe."""
    allowed_users()  # to hear now of what is wrong there
    name = address.removeprefix("shm://")
    if name.startswith("/") and not name.endswith("/"):
        folder, name = os.path.split(name)
        if not os.path.isdir(folder):
            raise _error(address, f"there is no folder {folder}; make it first")
    elif re.fullmatch(_NAME, name) and name not in (".", ".."):
        folder = _own_folder(address)
    else:
        raise _error(address, "expected shm://NAME with letters, digits, . _ and -, or shm:///FOLDER/NAME")
    path = os.path.join(folder, name)
    longest = max(path, side_channel(folder, bytes(8)) + ".new", key=len)
    if len(os.fsencode(longest)) > _LONGEST:
        raise _error(address, f"{longest} is longer than the {_LONGEST} bytes of a socket's path; use a shorter folder")
    if os.path.exists(path) and not stat.S_ISSOCK(os.stat(path).st_mode):
        raise _error(address, f"{path} is a file, and no socket; choose another name")
    return path


class SocketFiles:
    """The files of the sockets that one endpoint has bound: nobody else removes them."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[int, int]] = {}

    def add(self, path: str) -> None:
        """That of a socket which was bound this moment."""
        with contextlib.suppress(OSError, ValueError):  # an abstract name, which is no file
            found = os.stat(path)
            self._made[os.path.abspath(path)] = found.st_dev, found.st_ino

    def remove(self) -> None:
        """Remove those that are still there, and not somebody else's by now."""
        for path, made in self._made.items():
            with contextlib.suppress(OSError):
                found = os.stat(path)
                if (found.st_dev, found.st_ino) == made:
                    os.unlink(path)
        self._made.clear()


def side_channel(folder: str, sender: bytes) -> str:
    """Path of the socket at which the ``sender`` of a message hands out the memory that it is in."""
    return os.path.join(folder, _SIDE.format(sender.hex()))


def allowed_users() -> set[int]:
    """Ids of the users to whom memory is given and from whom it is taken: our own, and those named explicitly."""
    named = os.environ.get(_ALLOW, "").replace(",", " ").split()
    try:
        return {os.geteuid(), *map(int, named)}
    except ValueError:
        raise AddressError(
            f"{_ALLOW}={os.environ[_ALLOW]!r}: expected user ids, as `id -u` prints them, separated by commas",
            address="shm://",
        ) from None


def _own_folder(address: str) -> str:
    chosen = os.environ.get(_FOLDER)
    if chosen:
        try:
            os.makedirs(chosen, mode=0o700, exist_ok=True)
        except OSError as error:
            raise _error(address, f"cannot make {chosen} ({error.strerror}), which {_FOLDER} names") from None
        return chosen
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.geteuid()
    folder = os.path.join(runtime, "nptransport") if runtime else f"/tmp/nptransport-{user}"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.lstat(folder)
    except OSError as error:
        raise _error(address, f"cannot make {folder} ({error.strerror}); set {_FOLDER} to a folder of yours") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & 0o077:
        raise _error(
            address,
            f"{folder} has to be a folder that is yours alone: chmod 700 it, or set {_FOLDER} to another",
        )
    return folder


def _error(address: str, what: str) -> AddressError:
    return AddressError(f"{address}: {what}", address=address)
