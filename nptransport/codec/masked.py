"""Masked arrays: what they are made of, besides the data, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DecodeError
from ..limits import Limits
from .values import checked

__all__ = ["fill_value_of", "lift_masked", "mask_of"]


def mask_of(value: np.ma.MaskedArray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """None: nothing is masked."""
    mask = np.ma.getmask(value)
    if mask is np.ma.nomask:
        return None
    # Of other fields where those of the data were renamed, or some were taken out.
    return np.asarray(mask).astype(np.ma.make_mask_descr(value.dtype), copy=False)


def fill_value_of(value: np.ma.MaskedArray[Any, Any]) -> Any:
    """The fill value, of the array's own dtype; None where none was set, or none that the dtype can hold."""
    # Not value.fill_value: that makes up a default where none was set, and fails for dtypes that cannot hold it.
    fill = getattr(value, "_fill_value", None)
    if fill is None:
        return None
    if value.dtype.kind == "T":
        text = np.asarray(fill).item()
        # NumPy 2.2 has a default there, and lets nobody set any.
        return None if text == np.ma.default_fill_value(value.dtype) else text
    found: np.ndarray[Any, Any] = np.asarray(fill)
    try:
        if (
            found.dtype != value.dtype
            and found.dtype.names is None
            and not found.ndim
            and found == np.ma.default_fill_value(value.dtype)
        ):
            return None  # NumPy's own, which the dtype may not hold
        return np.asarray(found, value.dtype)[()]
    except (TypeError, ValueError, RuntimeWarning):
        return None


def lift_masked(value: Any, limits: Limits) -> np.ma.MaskedArray[Any, Any]:
    data, mask, fill, hard = checked(value, list, "masked array", 4)
    checked(data, np.ndarray, "masked array")
    if mask is not None:
        checked(mask, np.ndarray, "mask")
        if mask.shape != data.shape or mask.dtype != np.ma.make_mask_descr(data.dtype):
            raise DecodeError.of("mask", expected=f"bool {list(data.shape)}", found=f"{mask.dtype} {list(mask.shape)}")
    if fill is not None and not (data.dtype.kind == "T" and type(fill) in (str, float)):
        checked(fill, np.generic, "fill value")
        if data.dtype.isbuiltin == 2:  # ml_dtypes converts scalars as if all were in the machine's byte order
            fill = np.asarray(fill).astype(data.dtype)
    return np.ma.MaskedArray(
        data,
        mask=np.ma.nomask if mask is None else mask,
        fill_value=fill,
        hard_mask=checked(hard, bool, "hard mask"),
    )
