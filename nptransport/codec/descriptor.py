"""The entry of metadata that says which of a message's buffers lie in shared memory, and where."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import DecodeError
from . import packing

__all__ = [
    "ALIGNMENT",
    "KEY",
    "MOST_GENERATIONS",
    "MOST_PIECES",
    "ONE_PREFIX",
    "ONE_SIZE",
    "SENDER_SIZE",
    "Descriptor",
    "Piece",
    "Place",
    "read_descriptor",
    "read_place",
    "split_entry",
    "write_entry",
    "write_message",
    "write_place",
    "write_slot",
]

KEY = "shared"
ALIGNMENT = 64  # of each buffer in its slot: a cache line, and enough for every dtype
# As our encoder writes it: a bin of 16 bits, so that the length has a fixed place.
_PREFIX = packing.pack(KEY) + b"\xc5"
_AT = len(_PREFIX) + 2
_HEAD = struct.Struct(">8sIIQ")
_PIECE = struct.Struct(">IQQ")
_ONE = struct.Struct(">8sIIQIQQ")
ONE_PREFIX = _PREFIX + _ONE.size.to_bytes(2, "big")
"""Begins the entry for one buffer; who owns the memory stands behind it, and where in that it lies."""
SENDER_SIZE = 8
ONE_SIZE = len(ONE_PREFIX) + _ONE.size
_PLACE = struct.Struct(">IIQIQQ")
_SLOT = struct.Struct(">II")
_WHERE = struct.Struct(">IIQ")
_MESSAGE = struct.Struct(">QIQQ")
MOST_GENERATIONS = 2**63
MOST_PIECES = (2**16 - 1 - _HEAD.size) // _PIECE.size


class Piece(NamedTuple):
    """One buffer of a message."""

    part: int
    """Its place among the buffers."""
    offset: int
    """Where in the slot it begins."""
    nbytes: int


class Descriptor(NamedTuple):
    """Where the buffers of one message lie."""

    sender: bytes
    """Eight bytes, unique to the life of who owns the memory."""
    segment: int
    slot: int
    generation: int
    """Of the sender's messages in shared memory, which this is; from 1."""
    pieces: Sequence[Piece]
    """None: nothing lies there, and the message says only how far its sender is."""


Place = tuple[int, int, int]
"""Segment, slot and generation, as in a :class:`Descriptor`."""


def write_entry(descriptor: Descriptor) -> bytes:
    """The entry, key and value."""
    sender, segment, slot, generation, pieces = descriptor
    if len(pieces) == 1:
        return ONE_PREFIX + _ONE.pack(sender, segment, slot, generation, *pieces[0])
    value = _HEAD.pack(sender, segment, slot, generation) + b"".join(_PIECE.pack(*piece) for piece in pieces)
    return _PREFIX + len(value).to_bytes(2, "big") + value


def write_slot(sender: bytes, segment: int, slot: int) -> bytes:
    """What all entries for one buffer in that slot begin with, for :func:`write_message`."""
    return ONE_PREFIX + sender + _SLOT.pack(segment, slot)


def write_message(slot: bytes, generation: int, nbytes: int) -> bytes:
    """As :func:`write_entry`, for a message of nothing but one buffer of ``nbytes``."""
    return slot + _MESSAGE.pack(generation, 0, 0, nbytes)


def write_place(place: Place) -> bytes:
    """What stands behind the sender in an entry."""
    return _WHERE.pack(*place)


def split_entry(entries: bytes) -> tuple[bytes | None, bytes]:
    """The value of the entry, if ``entries`` begin with it as we write it, and what follows; else None and all."""
    if entries.startswith(ONE_PREFIX) and len(entries) > ONE_SIZE:
        return entries[_AT:ONE_SIZE], entries[ONE_SIZE:]
    if entries.startswith(_PREFIX):
        end = _AT + int.from_bytes(entries[_AT - 2 : _AT], "big")
        if len(entries) > end:
            return entries[_AT:end], entries[end:]
    return None, entries


def read_place(metadata: bytes, at: int, nbytes: int) -> Place | None:
    """Where all of an array of ``nbytes`` lies, as an entry for one buffer says behind the sender, which ends ``at``
    there; None if that is not so."""
    segment, slot, generation, part, offset, length = _PLACE.unpack_from(metadata, at)
    if part or offset or length != nbytes or not 0 < generation < MOST_GENERATIONS:
        return None
    return segment, slot, generation


def read_descriptor(value: bytes, parts: int) -> Descriptor:
    """The descriptor of a message of so many ``parts``, or DecodeError."""
    if len(value) == _ONE.size:
        sender, segment, slot, generation, part, offset, nbytes = _ONE.unpack(value)
        if part < parts and 0 < generation < MOST_GENERATIONS:
            return Descriptor(sender, segment, slot, generation, [Piece(part, offset, nbytes)])
        pieces = [Piece(part, offset, nbytes)]
    elif len(value) < _HEAD.size or (len(value) - _HEAD.size) % _PIECE.size:
        raise DecodeError.of(KEY, expected="a descriptor", found=f"{len(value)} bytes")
    else:
        sender, segment, slot, generation = _HEAD.unpack_from(value)
        pieces = [Piece(*numbers) for numbers in _PIECE.iter_unpack(value[_HEAD.size :])]
    before = -1
    for index, _, _ in pieces:
        if not before < index < parts:
            raise DecodeError.of(KEY, expected=f"buffers of {parts}, in order", found=f"{index} after {before}")
        before = index
    if not 0 < generation < MOST_GENERATIONS:
        raise DecodeError.of(KEY, expected="a generation from 1", found=f"{generation}")
    return Descriptor(sender, segment, slot, generation, pieces)
