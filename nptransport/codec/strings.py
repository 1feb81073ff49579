"""NumPy's variable-width strings (StringDType) ↔ one part: the lengths, then the texts.

Their memory belongs to the dtype and cannot be borrowed, so these arrays are copied on both sides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DecodeError, EncodeError

__all__ = [
    "describe_strings",
    "is_string_dtype",
    "join_strings",
    "least_bytes",
    "rebuild_string_dtype",
    "split_strings",
]

_LENGTH = np.dtype("<i8")
_MISSING = -1


def is_string_dtype(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "T"


def describe_strings(dtype: Any) -> dict[str, Any]:
    """Descriptor of a StringDType: its coercion and what stands for a missing text."""
    descriptor: dict[str, Any] = {"string": "utf-8", "coerce": bool(dtype.coerce)}
    if hasattr(dtype, "na_object"):
        missing = dtype.na_object
        if not (missing is None or type(missing) is str or _is_nan(missing)):
            raise EncodeError.at("", f"na_object {missing!r} cannot travel; use None, numpy.nan or a str")
        descriptor["missing"] = missing
    return descriptor


def rebuild_string_dtype(descriptor: dict[Any, Any]) -> Any:
    """StringDType of a peer's descriptor, or DecodeError."""
    encoding, coerce = descriptor.get("string"), descriptor.get("coerce", True)
    if encoding != "utf-8" or type(coerce) is not bool:
        raise DecodeError.of("string dtype", expected="utf-8 and a bool as coerce", found=f"{encoding!r:.40}")
    if not hasattr(np.dtypes, "StringDType"):
        raise DecodeError.of("string dtype", expected="NumPy 2.0 or later", found=np.__version__)
    if "missing" not in descriptor:
        return np.dtypes.StringDType(coerce=coerce)
    missing = descriptor["missing"]
    if not (missing is None or type(missing) is str or _is_nan(missing)):
        raise DecodeError.of("string dtype", expected="nil, nan or a text as missing", found=type(missing).__name__)
    return np.dtypes.StringDType(coerce=coerce, na_object=math.nan if _is_nan(missing) else missing)


def least_bytes(array: np.ndarray[Any, Any]) -> int:
    """Bytes of the part if all texts are empty."""
    return array.size * _LENGTH.itemsize


def join_strings(array: np.ndarray[Any, Any]) -> bytes:
    """Lengths in bytes as little-endian int64 (-1 for a missing text), then the UTF-8 texts, in C order."""
    texts = [text.encode() if type(text) is str else None for text in array.ravel().tolist()]
    lengths = np.array([_MISSING if text is None else len(text) for text in texts], _LENGTH)
    return b"".join([lengths.tobytes(), *filter(None, texts)])


def split_strings(part: memoryview, dtype: Any, count: int) -> np.ndarray[Any, Any]:
    """1-D array of the ``count`` texts in ``part``, or DecodeError."""
    if part.nbytes < count * _LENGTH.itemsize:
        raise DecodeError.of("string part", expected=f"{count} lengths of 8 bytes", found=f"{part.nbytes} bytes")
    lengths = np.frombuffer(part, _LENGTH, count).tolist()
    missing = getattr(dtype, "na_object", None)
    texts: list[Any] = []
    at = count * _LENGTH.itemsize
    for length in lengths:
        if length == _MISSING and hasattr(dtype, "na_object"):
            texts.append(missing)
            continue
        if length < 0 or at + length > part.nbytes:
            raise DecodeError.of("string length", expected=f"0 to {part.nbytes - at}", found=str(length))
        try:
            texts.append(str(part[at : at + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise DecodeError.of("string element", expected="UTF-8", found=str(error)) from None
        at += length
    if at != part.nbytes:
        raise DecodeError.of("string part", expected=f"{at} bytes", found=f"{part.nbytes}")
    return np.array(texts, dtype=dtype)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
