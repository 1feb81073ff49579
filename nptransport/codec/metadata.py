"""The metadata part as bytes, and what may stand in front of it.

The metadata part is a msgpack map:

    npt        1, the version of the format; always the first key
    envelope   [source, sequence, sent_at], where an endpoint sent the message
    shared     where buffers lie that are not in the message (see descriptor.py)
    parts      a layout for each buffer that follows
    cut        into how many parts each of them is cut, where one is
    tree       the rest of the payload (see tree.py); absent where the payload is the one array

So what names the layouts of a stream stands at the end, equal in each message, and can be recognised by its bytes.
"""

from __future__ import annotations

from typing import Any

from ..errors import DecodeError, EncodeError
from . import packing
from .arrays import Buffer
from .descriptor import split_entry
from .envelope import ENTRY_SIZE

__all__ = [
    "ALONE",
    "ALONE_BARE",
    "BODY",
    "HEAD",
    "VERSION",
    "entry",
    "is_topic",
    "map_of",
    "read_topic",
    "with_entry",
    "without_shared",
    "write_topic",
]

VERSION = 1
HEAD = packing.pack("npt") + packing.pack(VERSION)  # stands behind the first byte of every metadata part
ALONE = b"\x83" + HEAD  # begins the metadata of one array with an envelope
ALONE_BARE = b"\x82" + HEAD  # and of one without
BODY = 1 + len(HEAD)  # where the entries begin, that of the envelope first
_MAPS = [bytes([0x80 | entries]) + HEAD for entries in range(16)]


def map_of(entries: int) -> bytes:
    """What a metadata part of so many entries begins with, the first being the version."""
    return _MAPS[entries]


def entry(key: str, value: Any) -> bytes:
    """One entry of the map, packed."""
    return packing.pack(key) + packing.pack(value)


def with_entry(metadata: Buffer, more: bytes, *, bare: bool = False) -> bytes:
    """``metadata`` with an envelope, and behind that one ``more`` entry, which says which buffers lie in shared memory,
    or are cut; with the entry first if it is ``bare``, without an envelope."""
    at = BODY if bare else BODY + ENTRY_SIZE
    return b"%c%b%b%b" % (metadata[0] + 1, bytes(metadata[1:at]), more, bytes(metadata[at:]))


def without_shared(metadata: bytes) -> bytes:
    """The same for a message with all its buffers."""
    at = BODY + ENTRY_SIZE
    shared, rest = split_entry(metadata[at:])
    return metadata if shared is None else bytes([metadata[0] - 1]) + metadata[1:at] + rest


def is_topic(first: Buffer) -> bool:
    """Whether a first part is a topic. No text begins with a byte as all metadata does."""
    return not first or not 0x80 <= first[0] <= 0x8F


def write_topic(name: Any) -> bytes:
    """``name`` in UTF-8, or EncodeError if it is no str."""
    if not isinstance(name, str):
        raise EncodeError.at("topic", f"expected a str, found {type(name).__name__} {name!r:.40}")
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise EncodeError.at("topic", f"{name!a} holds lone surrogates, which UTF-8 cannot hold") from None


def read_topic(first: Buffer) -> str:
    try:
        return str(first, "utf-8")
    except UnicodeDecodeError:
        found = f"{bytes(first[:24])!r}"
        raise DecodeError.of("message", expected="metadata, or a topic in UTF-8 before it", found=found) from None
