"""dtype ↔ descriptor: what the wire says of an element, and how a dtype is rebuilt from it.

A descriptor is a text for the simple dtypes (NumPy's own typestr, such as ``<f4``, or a registered name, such as
``bfloat16``) and a map for the structured ones. Nothing that a peer names reaches ``np.dtype`` before it has matched
an allowlist, and sizes are added up in Python's integers: NumPy's own parser lets a C int overflow.
"""

from __future__ import annotations

import functools
import importlib
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DecodeError, EncodeError, LimitExceeded
from ..limits import Limits

__all__ = ["Descriptor", "check_dimensions", "check_shape", "describe", "inner_dimensions", "rebuild"]

Descriptor = Any  # str | dict[str, Any]: what msgpack makes of a descriptor

_DIMENSIONS = 64 if int(np.__version__.partition(".")[0]) >= 2 else 32
"""That NumPy can hold."""
MAX_ITEMSIZE = 2**31 - 1  # NumPy holds an itemsize in a C int

_FIXED = {"|b1", "|i1", "|u1"} | {
    order + code for order in "<>" for code in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
}
# Compiled by re when they are first met, and kept by it.
_SIZED = r"\|[SV](0|[1-9][0-9]{0,9})|[<>]U(0|[1-9][0-9]{0,8})"
_DATETIME = r"[<>][mM]8(\[([1-9][0-9]{0,9})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
_LONGDOUBLE = r"([<>])([fc][0-9]{2}):([a-z0-9-]+)"

# The element types of the ml_dtypes package, which NumPy knows only as opaque bytes: they travel by name, with > in
# front where they are big-endian.
REGISTERED = frozenset(
    (
        *("bfloat16", "bcomplex32", "complex32", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"),
        *("float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
        *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
        *("int1", "int2", "int4", "uint1", "uint2", "uint4"),
    )
)


def describe(dtype: np.dtype[Any], limits: Limits) -> Descriptor:
    """Descriptor of ``dtype``, or EncodeError if arrays of it cannot travel."""
    return _describe(dtype, limits, limits.max_nesting, iter(range(limits.max_fields)))


def _describe(dtype: np.dtype[Any], limits: Limits, depth: int, room: Iterator[int]) -> Descriptor:
    if dtype.names is not None and dtype.kind == "V":
        return _describe_structured(dtype, limits, depth, room)
    if dtype.hasobject:
        raise EncodeError.at("", f"{dtype} dtype cannot travel: it holds pointers; convert it, with astype(float) say")
    if dtype.names is not None:
        raise EncodeError.at("", f"fields laid over {dtype.str} cannot travel; send array.view({dtype.str!r})")
    if dtype.isbuiltin == 2:
        if dtype.name not in REGISTERED or dtype.type.__module__ != "ml_dtypes":
            raise EncodeError.at("", f"dtype {dtype} of {dtype.type.__module__} is not known to the format")
        return f">{dtype.name}" if _is_big(dtype.byteorder) else dtype.name
    if dtype.char in "gG":
        return _longdouble(dtype)
    return dtype.str


def _describe_structured(dtype: np.dtype[Any], limits: Limits, depth: int, room: Iterator[int]) -> Descriptor:
    if depth < 1:
        raise EncodeError.at("", f"structured dtype nested more than {limits.max_nesting} deep (Limits.max_nesting)")
    assert dtype.names is not None
    assert dtype.fields is not None
    fields: list[list[Any]] = []
    for name in dtype.names:
        if next(room, None) is None:
            raise EncodeError.at("", f"more than {limits.max_fields} fields (Limits.max_fields)")
        field_dtype, offset, *title = dtype.fields[name]
        base, shape = field_dtype.subdtype or (field_dtype, ())
        try:
            name.encode()
            field = [name, _describe(base, limits, depth - 1, room), offset]
        except UnicodeEncodeError:
            raise EncodeError.at("", f"field name {name!a} holds lone surrogates, which UTF-8 cannot hold") from None
        except EncodeError as error:
            raise EncodeError.at(f".{name}{error.path}", error.reason) from None
        if title and not (isinstance(title[0], str) and title[0].encode(errors="replace").decode() == title[0]):
            raise EncodeError.at(f".{name}", f"title {title[0]!a} is no str")
        if shape or title:
            field.append(list(shape))
        if title:
            field.append(title[0])
        fields.append(field)
    descriptor: dict[str, Any] = {"itemsize": dtype.itemsize, "fields": fields}
    if dtype.isalignedstruct:
        descriptor["aligned"] = True
    return descriptor


def rebuild(descriptor: Descriptor, limits: Limits) -> np.dtype[Any]:
    """dtype of a peer's ``descriptor``, or DecodeError. Never more than ``limits.max_fields`` fields."""
    if isinstance(descriptor, str):
        return _rebuild_simple(descriptor)
    return _rebuild_structured(descriptor, limits, limits.max_nesting, iter(range(limits.max_fields)))


@functools.lru_cache(maxsize=256)
def _rebuild_simple(text: str) -> np.dtype[Any]:
    if text in _FIXED:
        return np.dtype(text)
    if text.removeprefix(">") in REGISTERED:
        return _registered(text)
    match = re.fullmatch(_DATETIME, text)
    if re.fullmatch(_SIZED, text) or (match and int(match[2] or 1) <= MAX_ITEMSIZE):  # a multiple is a C int, too
        if text[1] in "SVU" and int(text[2:]) * (4 if text[1] == "U" else 1) > MAX_ITEMSIZE:
            raise DecodeError.of("dtype", expected=f"an itemsize of at most {MAX_ITEMSIZE}", found=text)
        dtype = np.dtype(text)
        if dtype.str == text:  # any other spelling is one that no encoder writes
            return dtype
    if match := re.fullmatch(_LONGDOUBLE, text):
        native: np.dtype[Any] = np.dtype(np.longdouble if match[2][0] == "f" else np.clongdouble)
        ours = native.newbyteorder("<" if match[1] == "<" else ">")
        if _longdouble(ours) == text:
            return ours
        raise DecodeError.of(
            "dtype",
            expected=f"this machine's longdouble, {_longdouble(ours)!r}",
            found=repr(text),
            hint="longdouble differs between machines; let the sender use astype('f8')",
        )
    raise DecodeError.of("dtype", expected="one that the format lists", found=_short(text))


def _registered(text: str) -> np.dtype[Any]:
    """dtype of ``ml_dtypes`` by name, or DecodeError if that package is missing or too old for it."""
    name = text.removeprefix(">")
    try:
        native = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
        return native if _is_big(text[0]) == _is_big("=") else native.newbyteorder()
    except (ImportError, AttributeError):
        raise DecodeError.of(
            "dtype",
            expected=f"the package ml_dtypes with {name}",
            found="none here",
            hint="pip install 'nptransport[ml-dtypes]'",
        ) from None


def _is_big(order: str) -> bool:
    """Whether ``order``, the first character of a typestr or a ``byteorder`` of NumPy's, is big-endian."""
    return order == ">" or (order == "=" and sys.byteorder == "big")


def _longdouble(dtype: np.dtype[Any]) -> str:
    """NumPy's typestr with the format behind it: ``<f16`` alone is x87 on one machine and IEEE quad on another."""
    if dtype.str[1:] in ("f8", "c16"):
        return dtype.str  # longdouble is plain double here
    formats = {63: "x87", 105: "double-double", 106: "double-double", 112: "binary128"}
    bits = int(np.finfo(np.longdouble).nmant)
    return f"{dtype.str}:{formats.get(bits, f'mantissa-{bits}')}"


def _rebuild_structured(descriptor: Any, limits: Limits, depth: int, room: Iterator[int]) -> np.dtype[Any]:
    if not isinstance(descriptor, dict):
        raise DecodeError.of("dtype", expected="a text or a map", found=type(descriptor).__name__)
    if depth < 1:
        raise LimitExceeded.over("max_nesting", limits.max_nesting, f"more than {limits.max_nesting}")
    fields, itemsize, aligned = (descriptor.get(key) for key in ("fields", "itemsize", "aligned"))
    if (
        not isinstance(fields, list)
        or not _is_count(itemsize, MAX_ITEMSIZE)
        or not isinstance(aligned, (bool, type(None)))
    ):
        raise DecodeError.of(
            "structured dtype",
            expected=f"fields, an itemsize of at most {MAX_ITEMSIZE} and perhaps aligned",
            found=_short(descriptor),
        )
    names, formats, offsets, titles = [], [], [], []
    rebuilt: np.dtype[Any]
    alignments = [1]
    for field in fields:
        if next(room, None) is None:
            raise LimitExceeded.over("max_fields", limits.max_fields, f"more than {limits.max_fields}")
        if not isinstance(field, list) or not 3 <= len(field) <= 5:
            raise DecodeError.of("field", expected="[name, dtype, offset, shape?, title?]", found=_short(field))
        name, inner, offset, shape, title = field + [[], None][len(field) - 3 :]
        if not isinstance(name, str) or not (title is None or isinstance(title, str)):
            raise DecodeError.of("field", expected="a text as name and title", found=_short(field))
        if isinstance(inner, str):
            dtype = _rebuild_simple(inner)
        else:
            dtype = _rebuild_structured(inner, limits, depth - 1, room)
        count = check_shape(shape, limits)
        if not _is_count(offset, MAX_ITEMSIZE) or offset + count * dtype.itemsize > itemsize:
            raise DecodeError.of(
                f"field {_short(name)}",
                expected=f"room inside its {itemsize} bytes",
                found=f"{count * dtype.itemsize} bytes at offset {_short(offset)}",
            )
        names.append(name)
        alignments.append(dtype.alignment)
        formats.append((dtype, tuple(shape)) if shape else dtype)
        offsets.append(offset)
        titles.append(title)
    if len(set(names)) < len(names):
        raise DecodeError.of("structured dtype", expected="names that differ", found=_short(names))
    if aligned and not all(alignments):  # of a structure without fields, by which NumPy 1 divides
        raise DecodeError.of("structured dtype", expected="fields that can be aligned", found="one without any")
    layout: dict[str, Any] = {"names": names, "formats": formats, "offsets": offsets, "itemsize": itemsize}
    if any(title is not None for title in titles):
        layout["titles"] = titles
    try:
        rebuilt = np.dtype(layout, align=bool(aligned))  # type: ignore[call-overload]
    except (ValueError, TypeError, OverflowError) as error:
        raise DecodeError.of("structured dtype", expected="a layout that NumPy takes", found=str(error)) from None
    if rebuilt.itemsize != itemsize:
        raise DecodeError.of("structured dtype", expected=f"{itemsize} bytes", found=f"{rebuilt.itemsize}")
    return rebuilt


def check_dimensions(dimensions: int, limits: Limits) -> None:
    """DecodeError for an array that has more, with those of its fields, than are accepted, or than NumPy can hold."""
    if dimensions > limits.max_dimensions:
        raise LimitExceeded.over("max_dimensions", limits.max_dimensions, dimensions)
    if dimensions > _DIMENSIONS:
        found = f"{dimensions}"
        raise DecodeError.of(
            "array", expected=f"at most {_DIMENSIONS} dimensions (NumPy {np.__version__})", found=found
        )


def inner_dimensions(dtype: np.dtype[Any]) -> int:
    """Most dimensions that a field within ``dtype`` adds to those of the array when somebody takes it out."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return len(shape) + inner_dimensions(base)
    if dtype.fields is None:
        return 0
    return max((inner_dimensions(dtype.fields[name][0]) for name in dtype.names or ()), default=0)


def check_shape(shape: Any, limits: Limits) -> int:
    """Number of elements of a peer's ``shape``, or DecodeError if it is none."""
    if not isinstance(shape, list):
        raise DecodeError.of("shape", expected="a list", found=type(shape).__name__)
    if len(shape) > limits.max_dimensions:
        raise LimitExceeded.over("max_dimensions", limits.max_dimensions, len(shape))
    for length in shape:
        if not _is_count(length, 2**63 - 1):
            raise DecodeError.of("shape", expected="whole numbers from 0", found=_short(length))
    return math.prod(shape)


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most  # not isinstance: True is an int, too


def _short(value: Any) -> str:
    """What a peer wrote, cut to a length that fits an error message."""
    text = repr(value) if isinstance(value, (str, int, float, bool, bytes, type(None))) else _outline(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _outline(value: Any) -> str:
    return f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else type(value).__name__
