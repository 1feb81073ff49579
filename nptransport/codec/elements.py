"""Elements whose bytes can be wrong: a bool other than 0 and 1, a text above U+10FFFF."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DecodeError

__all__ = ["check_elements", "mirror"]


def mirror(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The parts of ``dtype`` that have invalid bytes, as unsigned integers in the same places; None without any."""
    if not dtype.itemsize:
        return None
    if dtype.kind == "b":
        return np.dtype("u1")
    if dtype.kind == "U":
        return np.dtype((np.dtype("u4").newbyteorder(dtype.byteorder), (dtype.itemsize // 4,)))
    if dtype.subdtype is not None:
        base = mirror(dtype.subdtype[0])
        return None if base is None else np.dtype((base, dtype.subdtype[1]))
    if dtype.names is None or dtype.fields is None:
        return None
    fields = [(mirror(dtype.fields[name][0]), dtype.fields[name][1]) for name in dtype.names]
    formats, offsets = [], []
    for inner, offset in fields:
        if inner is not None:
            formats.append(inner)
            offsets.append(offset)
    if not formats:
        return None
    names = [f"f{i}" for i in range(len(formats))]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize})


def check_elements(view: np.ndarray[Any, Any]) -> None:
    """DecodeError if ``view``, an array seen through the :func:`mirror` of its dtype, holds an invalid element.

    A bool of another value breaks NumPy's own counting, and such a text fails only when somebody looks at it, far
    from here.
    """
    if view.dtype.names is not None:
        for name in view.dtype.names:
            check_elements(view[name])
    elif view.size:
        highest = int(view.max())
        what, allowed = ("bool", 1) if view.dtype.itemsize == 1 else ("text", 0x10FFFF)
        if highest > allowed:
            raise DecodeError.of(f"{what} element", expected=f"at most {allowed:#x}", found=f"{highest:#x}")
