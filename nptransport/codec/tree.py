"""payload ↔ tree and parts: everything but the arrays and the long texts, as one msgpack document.

What msgpack has of its own stands for itself. A part of the message is extension 1 with its index; whatever else
Python tells apart is a map of one entry, whose key is extension 2, the tag, with one letter:

    {tag "t": [...]}                      tuple
    {tag "i": bytes}                      whole number beyond 64 bits, two's complement, big-endian
    {tag "d": [ISO 8601, fold, zone]}     datetime; zone is an IANA name, microseconds from UTC, or nil
    {tag "s": [dtype, bytes]}             NumPy scalar
    {tag "m": [data, mask, fill, hard]}   masked array: two parts (mask nil: nothing masked), a scalar or nil, a bool
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgpack
import numpy as np

from ..errors import DecodeError, EncodeError
from ..limits import Limits
from . import packing
from .arrays import Buffer, Layout, as_array, describe_array
from .masked import fill_value_of, lift_masked, mask_of
from .values import checked, lift_datetime, lift_scalar, lower_datetime, lower_scalar

__all__ = ["Lowering", "Text", "lift", "read_layout"]

# Texts and bytes from this length on are parts of their own: copied once less, and not held against the metadata.
LONG = 1024

_PART, _TAG = 1, 2
_INDEX = struct.Struct(">I")
_TUPLE, _INT, _DATETIME, _SCALAR, _MASKED = (msgpack.ExtType(_TAG, letter) for letter in (b"t", b"i", b"d", b"s", b"m"))
_TAGS = {tag.data: tag for tag in (_TUPLE, _INT, _DATETIME, _SCALAR, _MASKED)}


class _Tagged(dict[Any, Any]):
    """A map of one tag. Compared by identity, so that it can stand as a key as the value did that it describes."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class Lowering:
    """Takes one payload apart, into a tree of msgpack values and, for each part, a layout and a buffer.

    EncodeError, with the path inside the payload, for whatever cannot travel.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._items = self._nbytes = 0
        self.layouts: list[list[Any]] = []
        self.buffers: list[Buffer] = []

    def lower(self, value: Any, depth: int) -> Any:
        """The tree for ``value``, of which at most ``depth`` more containers may be nested."""
        kind = type(value)
        if kind is float or kind is bool or value is None:
            return value
        if kind is str:
            return self._text(value)
        if kind is int:
            if -(2**63) <= value < 2**64:
                return value
            return _Tagged({_INT: value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)})
        if kind is bytes:
            return self._part(["bytes"], value) if len(value) >= LONG else value
        if kind is dict or kind is list or kind is tuple:
            if depth < 1:
                limit = self._limits.max_nesting
                raise EncodeError.at("", f"nested more than {limit} deep (Limits.max_nesting); is there a cycle?")
            if kind is dict:
                return self._entries(value, depth - 1)
            values = self._values(value, depth - 1)
            return values if kind is list else _Tagged({_TUPLE: values})
        if kind is datetime:
            return _Tagged({_DATETIME: lower_datetime(value)})
        if isinstance(value, np.generic):
            return _Tagged({_SCALAR: lower_scalar(value, self._limits)})
        if isinstance(value, np.ma.MaskedArray):
            return self._masked(value)
        if isinstance(value, bytes):
            raise EncodeError.at("", f"{_name(kind)} cannot travel; {_advice(value)}")
        try:
            array = as_array(value)
        except EncodeError:
            raise
        except Exception as error:  # each exporter raises its own
            raise EncodeError.at("", f"{_name(kind)}: {type(error).__name__}: {error}") from error
        if array is not None:
            return self._array(array)
        raise EncodeError.at("", f"{_name(kind)} cannot travel; {_advice(value)}")

    def _text(self, value: str) -> Any:
        try:
            encoded = value if value.isascii() else value.encode()
        except UnicodeEncodeError:
            raise EncodeError.at("", "a text with lone surrogates is no UTF-8; send it as bytes") from None
        if len(encoded) < LONG:
            return value
        return self._part(["text"], encoded if isinstance(encoded, bytes) else value.encode())

    def _entries(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        self._count(2 * len(value))
        lowered = {}
        for key, item in value.items():
            try:
                lowered[self._key(key, depth)] = self.lower(item, depth)
            except EncodeError as error:
                raise EncodeError.at(f"[{_shown(key)}]{error.path}", error.reason) from error.__cause__
        return lowered

    def _key(self, key: Any, depth: int) -> Any:
        parts = len(self.layouts)
        try:
            lowered = self.lower(key, depth)
            if len(self.layouts) > parts and any(len(layout) > 1 for layout in self.layouts[parts:]):
                raise EncodeError.at("", "an array cannot be hashed where it arrives")
            return lowered
        except EncodeError as error:
            raise EncodeError.at("", f"as a key: {error.reason}") from error.__cause__

    def _values(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        self._count(len(value))
        lowered = []
        for item in value:
            try:
                lowered.append(self.lower(item, depth))
            except EncodeError as error:
                raise EncodeError.at(f"[{len(lowered)}]{error.path}", error.reason) from error.__cause__
        return lowered

    def _count(self, items: int) -> None:
        # Here, too, and not only in the finished tree: a list that holds itself twice at each level would fill memory.
        self._items += items
        if self._items > self._limits.max_items:
            raise EncodeError.at(
                "",
                f"more than {self._limits.max_items} values in dicts, lists and tuples (Limits.max_items); long lists "
                "of numbers belong in an array",
            )

    def _masked(self, value: np.ma.MaskedArray[Any, Any]) -> _Tagged:
        data = self._array(np.ma.getdata(value))
        mask = mask_of(value)
        lowered_mask = None if mask is None else self._array(mask)
        fill = fill_value_of(value)
        if fill is not None:
            is_text = value.dtype.kind == "T"
            fill = self.lower(fill, 1) if is_text else _Tagged({_SCALAR: lower_scalar(fill, self._limits)})
        return _Tagged({_MASKED: [data, lowered_mask, fill, bool(value.hardmask)]})

    def _array(self, array: np.ndarray[Any, Any]) -> msgpack.ExtType:
        return self._part(*describe_array(array, self._limits, self._nbytes))

    def _part(self, layout: list[Any], buffer: Buffer) -> msgpack.ExtType:
        self._nbytes += len(buffer)
        self.layouts.append(layout)
        self.buffers.append(buffer)
        if len(self.layouts) > self._limits.max_parts:
            raise EncodeError.at("", f"more than {self._limits.max_parts} parts (Limits.max_parts)")
        return msgpack.ExtType(_PART, _INDEX.pack(len(self.layouts) - 1))


def _shown(key: Any) -> str:
    try:
        return f"{key!r:.80}"
    except Exception:  # noqa: BLE001 - a whole number of too many digits, say
        return f"<{_name(type(key))}>"


def _name(kind: type[Any]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _advice(value: Any) -> str:
    if callable(value):
        return "send what it returns, or register it on both sides"
    if isinstance(value, (set, frozenset)):
        return "send sorted(value) or list(value)"
    for base in (dict, list, tuple, str, bytes, bool, int, float):
        if isinstance(value, base):
            return f"it would arrive as a plain {base.__name__}: send {base.__name__}(value) if that is what you want"
    if isinstance(value, datetime):
        return "it would arrive as a plain datetime: send a datetime or a numpy.datetime64"
    if hasattr(value, "__array__"):
        return "send numpy.asarray(value)"
    return "send arrays, NumPy scalars, dict, list, tuple, str, bytes, int, float, bool, None or datetime"


class Text:
    """Layout of a part that is a text or bytes rather than an array."""

    __slots__ = ("is_text",)
    nbytes = None  # the part itself tells

    def __init__(self, is_text: bool) -> None:
        self.is_text = is_text

    def build(self, part: Buffer, copy: bool = False) -> str | bytes:
        if not self.is_text:
            return bytes(part)  # no copy where it is bytes already
        try:
            return str(part, "utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError.of("text part", expected="UTF-8", found=str(error)) from None


def read_layout(descriptor: Any, limits: Limits) -> Layout | Text:
    """Layout of a part from its descriptor in the metadata, or DecodeError."""
    if descriptor == ["bytes"] or descriptor == ["text"]:
        return Text(descriptor == ["text"])
    return Layout(descriptor, limits)


def lift(tree: bytes, parts: list[Any], limits: Limits) -> Any:
    """The payload that ``tree`` describes, with ``parts`` in their places, or DecodeError."""
    tags_open = 0
    # Each part once: the cost of a part, such as that of a masked array's dtype, cannot be had thousands of times over.
    waiting = set(range(len(parts)))

    def on_extension(code: int, data: bytes) -> Any:
        nonlocal tags_open
        if code == _PART and len(data) == 4:
            (index,) = _INDEX.unpack(data)
            if index in waiting:
                waiting.remove(index)
                return parts[index]
            if index < len(parts):
                raise DecodeError.of("part", expected="one place for each", found=f"{index} in two")
            raise DecodeError.of("part", expected=f"an index below {len(parts)}", found=str(index))
        if code == _TAG and data in _TAGS:
            tags_open += 1
            return _TAGS[data]
        raise DecodeError.of("extension", expected="a part or a known tag", found=f"type {code}, {data!r:.40}")

    def on_map(pairs: list[tuple[Any, Any]]) -> Any:
        nonlocal tags_open
        if len(pairs) == 1 and type(pairs[0][0]) is msgpack.ExtType:
            tags_open -= 1
            tag, value = pairs[0]
            return _lift_tagged(tag, value, limits)
        return packing.build_map(pairs)

    payload = packing.unpack(tree, limits, on_extension, on_map)
    if tags_open:
        raise DecodeError.of("tag", expected="the only key of a map", found="one elsewhere")
    if waiting:
        raise DecodeError.of("part", expected="a place for each", found=f"{min(waiting)} in none")
    return payload


def _lift_tagged(tag: msgpack.ExtType, value: Any, limits: Limits) -> Any:
    what, lift_value = _LIFTS[tag]
    try:
        return lift_value(value, limits)
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001 - out of range, or of Python's own limits
        found = f"{type(error).__name__}: {error}"
        raise DecodeError.of(what, expected="one that Python can hold", found=found) from None


def _lift_tuple(value: Any, limits: Limits) -> tuple[Any, ...]:
    return tuple(checked(value, list, "tuple"))


def _lift_int(value: Any, limits: Limits) -> int:
    return int.from_bytes(checked(value, bytes, "whole number"), "big", signed=True)


_LIFTS: dict[msgpack.ExtType, tuple[str, Callable[[Any, Limits], Any]]] = {
    _TUPLE: ("tuple", _lift_tuple),
    _INT: ("whole number", _lift_int),
    _DATETIME: ("datetime", lift_datetime),
    _SCALAR: ("scalar", lift_scalar),
    _MASKED: ("masked array", lift_masked),
}
