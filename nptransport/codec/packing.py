"""msgpack, guarded: a document is measured before it is built, and what msgpack itself lets pass is refused.

The C unpacker reserves a list for each length that a peer claims, so that 66 KB of nested claims cost it 34 MB; it
lets the last of two equal keys win; and it answers malformed bytes with half a dozen kinds of exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

from ..errors import DecodeError, LimitExceeded
from ..limits import Limits

__all__ = ["build_map", "measure", "pack", "unpack"]


def pack(value: Any) -> bytes:
    """msgpack of plain values. UnicodeEncodeError for a text with lone surrogates."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(
    data: bytes | memoryview,
    limits: Limits,
    on_extension: Callable[[int, bytes], Any] | None = None,
    on_map: Callable[[list[tuple[Any, Any]]], Any] | None = None,
) -> Any:
    """The one value of a msgpack document, or DecodeError. Extensions are refused unless ``on_extension`` is given."""
    measure(data, limits, extensions=on_extension is not None)
    try:
        return msgpack.unpackb(
            data,
            strict_map_key=False,
            object_pairs_hook=on_map or build_map,
            ext_hook=on_extension or msgpack.ExtType,
        )
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001 - msgpack's own errors share no base, and hashing a peer's key can raise anything
        raise DecodeError.of("msgpack", expected="valid values", found=f"{type(error).__name__}: {error}") from None


def build_map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of ``pairs``, or DecodeError if two keys are equal or many of them share one hash."""
    # Python's ints hash by value: a peer can choose thousands that fall on one slot and take minutes to insert.
    if len(pairs) > 64 and len({hash(key) for key, _ in pairs}) < len(pairs) // 8:
        raise DecodeError.of("map", expected="keys of different hashes", found=f"{len(pairs)} keys that collide")
    built = dict(pairs)
    if len(built) < len(pairs):
        raise DecodeError.of("map", expected="keys that differ", found=f"{len(pairs) - len(built)} repeated")
    return built


# Bytes that a value takes, by its first byte, where that byte alone tells; 0 where it does not.
_SIZES = (
    [1] * 0x80  # positive fixint
    + [0] * 0x20  # fixmap, fixarray
    + list(range(1, 0x21))  # fixstr
    + [1, 0, 1, 1]  # nil, never used, false, true
    + [0] * 6  # bin 8 16 32, ext 8 16 32
    + [5, 9, 2, 3, 5, 9, 2, 3, 5, 9]  # float 32 64, uint 8 16 32 64, int 8 16 32 64
    + [0] * 12  # fixext 1 2 4 8 16, str 8 16 32, array 16 32, map 16 32
    + [1] * 0x20  # negative fixint
)
# First bytes whose length follows in 1, 2 or 4 bytes: how many of them.
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_LENGTHS |= {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
# Extensions, with the length of those whose first byte tells it.
_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16, 0xC7: 0, 0xC8: 0, 0xC9: 0}
_TIMESTAMP = 0xFF  # extension type -1, which msgpack keeps for itself


def measure(data: bytes | memoryview, limits: Limits, *, extensions: bool) -> None:
    """DecodeError unless ``data`` is exactly one msgpack value, in shape and within ``limits``.

    Looks at first bytes and lengths only. Takes time by the number of values, at most ``limits.max_items``, and
    no memory by what the lengths claim.
    """
    at = items = 0
    left = 1  # values still to come in the container that is open
    outer: list[int] = []  # the same for the ones around it
    try:
        while True:
            while not left:
                if not outer:
                    if at != len(data):
                        raise DecodeError.of("msgpack", expected=f"{at} bytes", found=f"{len(data)}")
                    return
                left = outer.pop()
            left -= 1
            first = data[at]
            size = _SIZES[first]
            if size:
                at += size
                continue
            width = _LENGTHS.get(first, 0)
            length = int.from_bytes(data[at + 1 : at + 1 + width], "big")
            if first < 0xA0 or 0xDC <= first <= 0xDF:
                if not width:
                    length = first & 0x0F
                values = 2 * length if first < 0x90 or first >= 0xDE else length
                items += values
                if items > limits.max_items:
                    raise LimitExceeded.over("max_items", limits.max_items, f"{items} or more")
                if len(outer) >= limits.max_nesting:
                    raise LimitExceeded.over("max_nesting", limits.max_nesting, f"{len(outer) + 1} or more")
                at += 1 + width
                if values:
                    outer.append(left)
                    left = values
            elif first in _EXTENSIONS:
                kind_at = at + 1 + width
                if not extensions or data[kind_at] == _TIMESTAMP:
                    raise DecodeError.of("msgpack", expected="no such extension", found=f"type {data[kind_at]}")
                at = kind_at + 1 + (length if width else _EXTENSIONS[first])
            elif width:
                at += 1 + width + length
            else:
                raise DecodeError.of("msgpack", expected="a value", found=f"byte {first:#04x}")
    except IndexError:
        raise DecodeError.of("msgpack", expected="more bytes", found=f"an end after {len(data)}") from None
