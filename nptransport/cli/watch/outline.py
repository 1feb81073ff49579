"""A payload in a few words, and the arrays inside it by their path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..plain import plain

__all__ = ["arrays_in", "dtype_name", "find_array", "outline"]

_ENTRIES = 4  # of a container that are told
_DEPTH = 3  # containers inside one another that are told
_KEY = 24  # characters of a key

Array = np.ndarray[Any, Any]


def outline(payload: Any, depth: int = _DEPTH) -> str:
    """``uint8[480,640,3]``; of a nest its first entries: ``{left: uint8[480,640,3], t: float64[]}``."""
    if isinstance(payload, (np.ndarray, np.generic)):
        return f"{dtype_name(payload.dtype)}[{','.join(map(str, payload.shape))}]"
    if not isinstance(payload, (dict, list, tuple)):
        return type(payload).__name__
    opening, closing = ("{", "}") if isinstance(payload, dict) else ("[", "]") if isinstance(payload, list) else "()"
    if not depth:
        return f"{opening}…{closing}"
    parts = []
    for number, (key, value) in enumerate(_entries(payload)):
        if number == _ENTRIES:
            parts.append(f"… {len(payload) - number} more")
            break
        told = outline(value, depth - 1)
        parts.append(f"{plain(_as_text(key), _KEY)}: {told}" if isinstance(payload, dict) else told)
    return opening + ", ".join(parts) + closing


def dtype_name(dtype: np.dtype[Any]) -> str:
    """As people say it: ``float64``, ``U8``, ``struct`` of its fields, the byte order only where it is foreign."""
    if dtype.names is not None:
        fields = ", ".join(plain(name, _KEY) for name in dtype.names[:_ENTRIES])
        return f"struct({fields}{', …' * (len(dtype.names) > _ENTRIES)})"
    if dtype.kind in "SUV" and dtype.type in (np.bytes_, np.str_, np.void):
        return dtype.str[1:]
    if dtype.kind == "T":
        return "StringDType"
    if dtype.isnative:
        return dtype.name
    return f"{'big' if dtype.byteorder == '>' else 'little'}-endian {dtype.name}"


def arrays_in(payload: Any, path: str = "") -> Iterator[tuple[str, Array]]:
    """Every array with its path, such as ``frames[2].left``; the path of a payload that is an array is ""."""
    if isinstance(payload, np.ndarray):
        yield path, payload
    elif isinstance(payload, np.generic):
        yield path, np.asarray(payload)
    elif isinstance(payload, (dict, list, tuple)):
        for key, value in _entries(payload):
            step = f".{_as_text(key)}" if isinstance(payload, dict) else f"[{key}]"
            yield from arrays_in(value, (path + step).removeprefix("."))


def find_array(payload: Any, path: str) -> tuple[str, Array]:
    """The array at ``path`` or the first one below it, with its whole path; the first that is no mere number, if ""."""
    found: list[str] = []
    number: tuple[str, Array] | None = None
    for place, array in arrays_in(payload):
        if path:
            if place == path or place.startswith((f"{path}.", f"{path}[")):
                return place, array
            field = path.removeprefix(f"{place}." if place else "")
            if field in (array.dtype.names or ()):
                return path, array[field]
        elif array.ndim:
            return place, array
        elif number is None:
            number = place, array
        found.append(place)
    if number is not None:
        return number
    there = ", ".join(plain(place, _KEY * 2) for place in found[:_ENTRIES])
    wanted = f"no array at {path!r}" if path else f"no array in {outline(payload)}"
    raise LookupError(f"{wanted}; there are: {there}" if there else wanted)


def _as_text(key: Any) -> str:
    try:
        return str(key)
    except ValueError:  # whole numbers of more digits than Python writes
        return f"({type(key).__name__})"


def _entries(payload: Any) -> Any:
    return payload.items() if isinstance(payload, dict) else enumerate(payload)
