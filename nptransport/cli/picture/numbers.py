"""Elements of any dtype as real numbers, and what they range over."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..watch.outline import dtype_name

__all__ = ["NoNumbers", "Summary", "as_numbers", "summarize", "thin_out"]

Array = np.ndarray[Any, Any]

_ENOUGH = 2**22  # elements that a summary looks at


class NoNumbers(Exception):
    """Elements that cannot be shown; the text says what they are."""


class Summary(NamedTuple):
    """What an array holds."""

    low: float
    """The least and the largest finite element; NaN if there is none."""
    high: float
    nans: int
    infinities: int
    exact: bool
    """False where there are so many that only a part was looked at."""

    def __str__(self) -> str:
        about = "" if self.exact else "about "
        parts = [f"{about}{self.low:.6g} … {self.high:.6g}"] if np.isfinite(self.low) else []
        parts += [f"{about}{count} {what}" for count, what in [(self.nans, "NaN"), (self.infinities, "inf")] if count]
        return ", ".join(parts)


def as_numbers(array: Array) -> tuple[Array, str]:
    """Bools, integers or floats in native order, and how that came about, if not as they were; else NoNumbers."""
    kind = array.dtype.kind
    if isinstance(array, np.ma.MaskedArray):
        numbers, note = as_numbers(array.data)
        mask = np.ma.getmaskarray(array)
        if not mask.any():
            return numbers, note
        return np.where(mask, np.nan, numbers), ", ".join(filter(None, [note, "masked as NaN"]))
    with np.errstate(all="ignore"):
        if array.dtype.type.__module__ == "ml_dtypes":  # bfloat16, int4, complex32 and their like
            return as_numbers(array.astype(np.complex64 if "complex" in array.dtype.name else np.float32))
        if kind in "biu":
            return array.astype(array.dtype.newbyteorder("="), copy=False), ""
        if kind == "f":
            return array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64, copy=False), ""
        if kind == "c":
            return np.abs(array.astype(np.complex64 if array.dtype.itemsize <= 8 else np.complex128)), "magnitude"
        if kind in "Mm":
            unit, count = np.datetime_data(array.dtype)
            step = unit if count == 1 else f"{count} {unit}"
            numbers = np.where(np.isnat(array), np.nan, array.astype(np.int64))
            return numbers, f"in steps of {step}{' since 1970' if kind == 'M' else ''}"
    hint = "; choose a field with --path" if array.dtype.names else ""
    raise NoNumbers(f"{dtype_name(array.dtype)} is no number{hint}")


def summarize(numbers: Array) -> Summary:
    seen = thin_out(numbers, _ENOUGH)
    exact = seen.size == numbers.size
    if seen.dtype.kind != "f":
        return Summary(float(seen.min()), float(seen.max()), 0, 0, exact)
    finite = seen[np.isfinite(seen)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    nans = int(np.isnan(seen).sum())
    return Summary(low, high, nans, seen.size - finite.size - nans, exact)


def thin_out(array: Array, most: int) -> Array:
    """Every so many-th row and column, so that about ``most`` elements are left; all of them, if those are few."""
    if array.size <= most:
        return array
    if array.ndim == 1:
        return array[:: -(-array.size // most)]
    step = int(np.ceil(np.sqrt(array.size / most)))
    return array[::step, ::step]
