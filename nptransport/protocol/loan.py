"""What may be asked for of memory that a message is to be written into."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..codec import dtypes
from ..errors import EncodeError, LimitExceeded
from ..limits import Limits

__all__ = ["check_loan"]


def check_loan(shape: Any, dtype: Any, limits: Limits) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """dtype, shape and bytes of an array that is to be filled and sent; EncodeError if it could not be."""
    try:
        kind = np.dtype(dtype)
        sizes = tuple(map(operator.index, shape)) if np.iterable(shape) else (operator.index(shape),)
    except (TypeError, ValueError) as error:
        raise EncodeError.at("loan", f"{error}: expected a shape and a dtype, as numpy.empty does") from None
    nbytes = math.prod(sizes) * kind.itemsize
    if kind.hasobject or kind.kind == "T":
        raise EncodeError.at("loan", f"dtype {kind} has its values elsewhere; use send()")
    dimensions = len(sizes) + dtypes.inner_dimensions(kind)
    if dimensions > limits.max_dimensions:
        raise EncodeError.at("loan", f"{LimitExceeded.over('max_dimensions', limits.max_dimensions, dimensions)}")
    if min(sizes, default=0) < 0:
        raise EncodeError.at("loan", f"shape {sizes} has a negative length")
    if nbytes > limits.max_total_bytes:
        limit = LimitExceeded.over("max_total_bytes", limits.max_total_bytes, nbytes)
        raise EncodeError.at("loan", f"{limit}")
    return kind, sizes, nbytes
