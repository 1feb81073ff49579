"""Which names travel. A receiver writes under a name that a stranger chose, so that it has to be a plain one."""

from __future__ import annotations

import sys

__all__ = ["BadName", "check_file_name", "check_member_name"]

# What file systems take is 255 bytes; the temporary name beside the final one is longer than that.
_MOST_BYTES = 200
_SUFFIXES = (".npy", ".npz")
_SPECIAL = set('/\\:*?"<>|')  # separators, and what Windows gives a meaning to
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789")}


class BadName(Exception):
    """A name that does not travel; the text says why."""


def check_file_name(name: str) -> str:
    """``name`` if it can stand in any folder on any system, and nowhere but there; else BadName.

    The endings that are asked for keep a peer from writing what some program reads at its start.
    """
    _check(name, "file")
    if not name.endswith(_SUFFIXES):
        raise BadName(f"{name!a} does not end in .npy or .npz")
    if name.startswith((".", "-", "~")) or name != name.strip():
        raise BadName(f"{name!a} begins or ends with a character that has a meaning of its own")
    found = sorted(_SPECIAL.intersection(name))
    if found:
        raise BadName(f"{name!a} holds {found[0]!a}, which has no place in the name of a file")
    if sys.platform == "win32" and name.partition(".")[0].strip().lower() in _DEVICES:
        raise BadName(f"{name!a} is a device on this system")
    return name


def check_member_name(name: str) -> str:
    """``name`` if whoever unpacks the .npz stays in the folder; else BadName. Groups such as "left/mask" are fine."""
    _check(name, "member")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise BadName(f"{name!a} is no relative path of plain names")
    return name


def _check(name: str, kind: str) -> None:
    if not name or not name.isprintable():  # no NUL, no control character, nothing that turns the text around
        raise BadName(f"{name[:_MOST_BYTES]!a} is not the printable name of a {kind}")
    if len(name.encode()) > _MOST_BYTES:
        raise BadName(f"{name[:20]!a}... is longer than {_MOST_BYTES} bytes")
