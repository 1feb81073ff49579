"""Addresses: read and checked before any socket sees them, with an error that says what to change."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterable

from ..errors import AddressError
from ..memory.memfd import lacking
from .folders import socket_of

__all__ = ["Addresses", "answers", "is_loopback", "is_open_to_others", "read_addresses", "refusal", "socket_address"]

Addresses = str | Iterable[str] | None

_TCP = r"tcp://(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]/\s;]+):(\d{1,5}|\*)"
_LOOPBACK = r"127(\.\d+){3}|localhost|lo|\[::1\]|\[::ffff:127(\.\d+){3}\]"
_IPC_PATH_BYTES = 107  # sockaddr_un holds 108 with the closing zero


def read_addresses(
    bind: Addresses, connect: Addresses, names: tuple[str, str] = ("bind", "connect")
) -> tuple[list[str], list[str]]:
    """Lists of the addresses to bind and to connect; AddressError for a malformed one, or if there is none at all.

    ``names``: what the caller gives them as; "" where it cannot.
    """
    to_bind, to_connect = _as_list(bind), _as_list(connect)
    if not to_bind and not to_connect:
        examples = [f"{name}='tcp://{host}:5555'" for name, host in zip(names, ("*", "HOST"), strict=True) if name]
        raise AddressError(f"no address: give {' or '.join(examples)}", address="")
    for address in to_bind:
        _check(address, bind=True)
    for address in to_connect:
        _check(address, bind=False)
    return to_bind, to_connect


def _as_list(addresses: Addresses) -> list[str]:
    if addresses is None:
        return []
    if isinstance(addresses, (bytes, bytearray, memoryview)) or not isinstance(addresses, (str, Iterable)):
        raise AddressError(f"{addresses!r}: expected a str such as 'tcp://127.0.0.1:5555'", address=repr(addresses))
    listed = [addresses] if isinstance(addresses, str) else list(addresses)
    for address in listed:
        if not isinstance(address, str):
            raise AddressError(f"{address!r}: expected a str such as 'tcp://127.0.0.1:5555'", address=repr(address))
    return listed


def _check(address: str, *, bind: bool) -> None:
    transport, separator, rest = address.partition("://")
    if "\0" in address or not _is_text(address):
        raise AddressError(f"{address!a}: holds characters that no address has", address=address)
    if transport == "tcp" and separator:
        match = re.fullmatch(_TCP, address)
        if match is None:
            raise _error(address, "expected tcp://HOST:PORT, as in tcp://127.0.0.1:5555 or tcp://*:5555")
        host, port = match.groups()
        if port != "*" and not 0 <= int(port) <= 65535:
            raise _error(address, "a port is at most 65535")
        if not bind and (host == "*" or port in ("*", "0")):
            raise _error(address, "connect needs the host and the port of the other side; * is for bind")
    elif transport == "ipc" and separator:
        if sys.platform == "win32":
            raise _error(address, "this system has no ipc://; use tcp://127.0.0.1:PORT")
        if not rest or "\0" in rest:
            raise _error(address, "expected ipc:// and the path of a socket file, as in ipc:///tmp/camera")
        if len(os.fsencode(rest)) > _IPC_PATH_BYTES:
            raise _error(address, f"a path of a socket file has at most {_IPC_PATH_BYTES} bytes; use a shorter folder")
        folder = os.path.dirname(rest)
        if bind and os.path.exists(rest) and not stat.S_ISSOCK(os.stat(rest).st_mode):
            raise _error(address, "there is a file of that name, which is no socket; choose another path")
        if bind and folder and not rest.startswith("@") and not os.path.isdir(folder):
            raise _error(address, f"there is no folder {folder}; make it first")
    elif transport == "inproc" and separator and rest:
        pass
    elif transport == "shm" and separator:
        why = lacking()
        if why is not None:
            raise _error(address, why)
        socket_of(address)
    else:
        raise _error(address, "expected tcp://HOST:PORT, ipc://PATH, inproc://NAME or shm://NAME")


def socket_address(address: str) -> str:
    """The address that ZeroMQ knows it by: a shm:// one is that of a socket file, beside which memory is handed out."""
    return "ipc://" + socket_of(address) if address.startswith("shm://") else address


def is_open_to_others(address: str) -> bool:
    """Whether other machines may reach what is bound there."""
    return re.fullmatch(_TCP, address) is not None and not is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether it is a tcp:// address that no other machine has a part in."""
    match = re.fullmatch(_TCP, address)
    return match is not None and re.fullmatch(_LOOPBACK, match[1]) is not None


def answers(address: str) -> bool:
    """Whether somebody listens on an ipc address already; libzmq would take it away from them in silence."""
    path = address.removeprefix("ipc://")
    if sys.platform == "win32":
        return False
    import socket as sockets  # here and not above: few need it, and it takes a while

    with sockets.socket(sockets.AF_UNIX) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect("\0" + path[1:] if path.startswith("@") else path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # it is too busy to answer, or not for us
            return True
        return True


def refusal(address: str, number: int | None, text: str) -> AddressError:
    """AddressError for what the system said when the address was bound or connected: its errno, and its text."""
    what = {
        errno.EADDRINUSE: "in use by another socket; stop its owner, or bind elsewhere (tcp://*:0 takes a free port)",
        errno.EADDRNOTAVAIL: "no address of this machine; bind to * or to one that `ip addr` shows",
        errno.ENODEV: "no address of this machine; bind to * or to one that `ip addr` shows",
        errno.EACCES: "not permitted; ports below 1024 need privileges, a socket file a folder that you may write to",
        errno.ENOENT: "no such folder",
        errno.ECONNREFUSED: "nobody has bound it in this process; bind before connect",
    }.get(number or 0, text)
    return _error(address, what)


def _is_text(address: str) -> bool:
    try:
        address.encode()
    except UnicodeEncodeError:
        return False
    return True


def _error(address: str, what: str) -> AddressError:
    return AddressError(f"{address}: {what}", address=address)
