"""What clients, servers, brokers and workers say to each other: the first part of their messages.

A word is a msgpack array: the version of the format, its kind, the fields that its kind has, and, if it is about one
call, that call's number. Where it brings a payload, the frames of that follow, as ``encode`` makes them. No metadata
and no text begins as an array does, so a word is never taken for another message.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from ..codec import packing
from ..codec.metadata import VERSION
from ..errors import DecodeError
from ..limits import Limits

__all__ = ["MISSES", "MOST_ATTEMPTS", "PREFIX", "Form", "Reader", "Word", "Writer", "check_interval"]

PREFIX = "nptransport."
"""Begins the names of methods that every server and broker has."""
MOST_ATTEMPTS = 2**31 - 1
MISSES = 3
"""Intervals of silence after which each takes the other side for dead."""

_LONGEST = 1024  # bytes
_LONGEST_NAME = 256
_LONGEST_INTERVAL = 3600  # seconds
_LIMITS = Limits(max_total_bytes=_LONGEST, max_metadata_bytes=_LONGEST, max_items=16, max_nesting=1)
_NUMBER = struct.Struct(">BQ")
_UINT64 = 0xCF
_REMEMBERED = 256


class Form:
    """How a call's payload holds its arguments."""

    ONE = 1
    """It is the one positional argument: what most calls have, and what is quickest to encode."""
    ALL = 0
    """It is the list of the positional arguments and the dict of those by name."""


def check_interval(interval: float) -> None:
    """ValueError for one that cannot be told."""
    if not 0 < interval <= _LONGEST_INTERVAL:
        raise ValueError(f"interval={interval!r}: expected seconds, at most {_LONGEST_INTERVAL}")


class Word(NamedTuple):
    """A word taken apart."""

    kind: str
    fields: tuple[Any, ...]
    number: int
    """Of the call that it is about; 0 for what is about none."""


def _is_name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= _LONGEST_NAME


def _is_identity(value: Any) -> bool:
    return type(value) is bytes and 0 < len(value) <= 255


def _is_form(value: Any) -> bool:
    return type(value) is int and value in (Form.ALL, Form.ONE)


def _is_attempt(value: Any) -> bool:
    return type(value) is int and 0 < value <= MOST_ATTEMPTS


def _is_interval(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= _LONGEST_INTERVAL


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value <= 2**16


# By kind: what its fields have to be, and whether the number of a call follows them.
_KINDS: dict[str, tuple[tuple[Callable[[Any], bool], ...], bool]] = {
    # a client says
    "call": ((_is_name, _is_form, _is_attempt), True),
    "cancel": ((), True),
    "alive": ((_is_interval,), False),
    # a server, or a broker, says to a client
    "result": ((), True),
    "error": ((), True),
    "busy": ((), True),
    "room": ((), False),
    # a broker says to clients and workers
    "here": ((_is_name, _is_interval), False),
    "who": ((), False),
    # and to a worker
    "task": ((_is_identity, _is_attempt, _is_name, _is_form), True),
    "drop": ((_is_identity, _is_attempt), True),
    # a worker says
    "ready": ((_is_name, _is_count, _is_interval), False),
    "beat": ((), False),
    "done": ((_is_identity, _is_attempt), True),
    "failed": ((_is_identity, _is_attempt), True),
    "returned": ((_is_identity, _is_attempt), True),
    "leaving": ((), False),
    "goodbye": ((), False),
}


class Writer:
    """Packs words, and remembers what stands in front of the number of those about calls."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], bytes] = {}

    def word(self, kind: str, *fields: Any) -> bytes:
        """A word that is about no call."""
        return packing.pack([VERSION, kind, *fields])

    def start(self, kind: str) -> bytes:
        """What stands in front of the number, and of the byte before it, in words of a kind that has no fields."""
        return self.about(0, kind)[:-8]

    def about(self, number: int, kind: str, *fields: Any) -> bytes:
        """A word about the call with that number."""
        key = (kind, *fields)
        start = self._known.get(key)
        if start is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            start = self._known[key] = packing.pack([VERSION, *key, 0])[:-1]
        return start + _NUMBER.pack(_UINT64, number)


class Reader:
    """Takes words apart. Whatever the bytes are: a word or a DecodeError."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, tuple[Any, ...]]] = {}

    def read(self, head: bytes) -> Word:
        """The word that ``head`` is."""
        # Written by us, the words about one peer's calls of one method differ in their last eight bytes only.
        known = self._known.get(head[:-8])
        if known is not None:
            return Word(*known, int.from_bytes(head[-8:], "big"))
        word = _read(head)
        if len(head) > 9 and head[-9] == _UINT64 and _KINDS[word.kind][1]:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[head[:-8]] = word.kind, word.fields
        return word

    def knows(self, start: bytes) -> bool:
        """Whether words that begin like that, and have eight bytes more, are known to differ in their number only."""
        return start in self._known


def _read(head: bytes) -> Word:
    if len(head) > _LONGEST or not head or not 0x90 <= head[0] <= 0x9F:
        raise _malformed(head)
    values = packing.unpack(head, _LIMITS)
    if len(values) < 2 or type(values[0]) is not int or values[0] != VERSION:
        found = f"{values[0]!r:.40}" if values else "nothing"
        raise DecodeError.of("version of the words", expected=str(VERSION), found=found, hint="use one release")
    kind, fields = values[1], values[2:]
    if type(kind) is not str or kind not in _KINDS:
        raise _malformed(head)
    checks, numbered = _KINDS[kind]
    number = 0
    if numbered and (not fields or type(number := fields.pop()) is not int or not 0 <= number < 2**64):
        raise _malformed(head)
    if len(fields) != len(checks) or not all(check(field) for check, field in zip(checks, fields, strict=True)):
        raise _malformed(head)
    return Word(kind, tuple(fields), number)


def _malformed(head: bytes) -> DecodeError:
    return DecodeError.of("word", expected="one of this library's clients, servers or brokers", found=f"{head[:40]!r}")
