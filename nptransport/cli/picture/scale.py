"""Numbers as pixels: what is seen should not depend on the unit, nor on a few wild elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from .numbers import thin_out

__all__ = ["Pixels", "scale_colour", "scale_grey"]

Array = np.ndarray[Any, Any]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_ENOUGH = 2**18  # elements from which the range is taken
_PERCENTILES = (1, 99)
_WILD = 2  # times the range of the percentiles: beyond that, the extremes are not what it is about
_NAN = (160, 0, 90)  # no grey


def scale_grey(numbers: Array) -> tuple[Pixels, str]:
    """Rows and columns as pixels from black to white, NaN in a colour of its own; and the range, if that is not all."""
    if numbers.dtype.kind == "b":
        return numbers.astype(np.uint8) * np.uint8(255), ""
    pixels, note = _stretch(numbers)
    if numbers.dtype.kind == "f" and (nans := np.isnan(numbers)).any():
        pixels = np.stack([pixels] * 3, axis=-1)
        pixels[nans] = _NAN
    return pixels, note


def scale_colour(numbers: Array) -> tuple[Pixels, str]:
    """Rows, columns and channels as RGB or RGBA: bytes as they are, floats from 0 to 1 as that, others stretched."""
    kind = numbers.dtype.kind
    if numbers.dtype == np.uint8:
        return numbers, ""
    if kind == "b":
        return numbers.astype(np.uint8) * np.uint8(255), ""
    if kind == "f":
        seen = thin_out(numbers, _ENOUGH)
        finite = seen[np.isfinite(seen)]
        if finite.size and finite.min() >= 0 and finite.max() <= 1:
            return _to_bytes(numbers * 255), ""
    return _stretch(numbers[..., :3])  # an alpha of another unit would spoil the range


def _stretch(numbers: Array) -> tuple[Pixels, str]:
    # In quarters, as the whole range may be more than a float can hold.
    kind = np.float32 if numbers.dtype.itemsize <= 2 or numbers.dtype == np.float32 else np.float64
    with np.errstate(invalid="ignore"):  # NaN may be of the kind that signals
        quarters = numbers.astype(kind) / 4
    values = thin_out(quarters, _ENOUGH).astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return _to_bytes(quarters * np.inf), ""
    least, largest = values.min(), values.max()
    low, high = np.percentile(values, _PERCENTILES)
    note = f"black {low * 4:.4g}, white {high * 4:.4g}"
    if low == high or largest - least <= _WILD * (high - low):
        low, high, note = least, largest, ""
    if low == high:
        low, high = low - 1, high + 1  # nothing but one grey
    with np.errstate(all="ignore"):
        return _to_bytes((quarters - kind(low)) / kind(high - low) * kind(255)), note


def _to_bytes(scaled: Array) -> Pixels:
    with np.errstate(all="ignore"):
        return np.nan_to_num(scaled.round(), nan=0, posinf=255, neginf=0).clip(0, 255).astype(np.uint8)
