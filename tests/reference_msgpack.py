"""As much of msgpack as the wire format needs, for reference_decoder.py: with nothing but the standard library."""

from __future__ import annotations

import struct

FIXED = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
FIXED |= {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
SIZED = {0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4)}
SIZED |= {0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4)}
SIZED |= {0xDE: ("map", 2), 0xDF: ("map", 4)}


class Ext(tuple):
    """(type, data)"""


class Map(list):
    """Of (key, value): the keys of a tree may be anything."""


def need(condition, what):
    if not condition:
        raise ValueError(what)


def unpack(data, extensions=True):
    """The one value in ``data``."""
    value, end = read(data, 0, extensions)
    need(end == len(data), "bytes behind the value")
    return value


def read(data, at, extensions):
    """One value at ``at``, and where the next one begins."""
    need(at < len(data), "cut off")
    first, at = data[at], at + 1
    if first < 0x80 or first >= 0xE0:
        return (first if first < 0x80 else first - 256), at
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], at
    if first in FIXED:
        end = at + struct.calcsize(FIXED[first])
        need(end <= len(data), "cut off")
        return struct.unpack(FIXED[first], data[at:end])[0], end
    if first < 0xC0:
        kind = "map" if first < 0x90 else "array" if first < 0xA0 else "str"
        length = first & (0x1F if kind == "str" else 0x0F)
    elif 0xD4 <= first <= 0xD8:
        kind, length = "ext", 1 << first - 0xD4
    else:
        need(first in SIZED, "no msgpack")
        kind, width = SIZED[first]
        length, at = int.from_bytes(data[at : at + width], "big"), at + width
    if kind in ("map", "array"):
        values = []
        for _ in range(2 * length if kind == "map" else length):
            value, at = read(data, at, extensions)
            values.append(value)
        return (Map(zip(values[::2], values[1::2], strict=True)) if kind == "map" else values), at
    end = at + length + (kind == "ext")
    need(end <= len(data), "cut off")
    if kind == "ext":
        need(extensions, "an extension")
        return Ext((data[at], data[at + 1 : end])), end
    return (data[at:end].decode() if kind == "str" else data[at:end]), end
