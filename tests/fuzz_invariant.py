"""What every fuzzed input has to keep, and how that is looked at. The invariant itself stands in fuzzing.py."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from hostile import check_error, memory_of, touch

import nptransport as npt

MOST_SECONDS = 0.010

LIMITS = npt.Limits(max_total_bytes=2**20, max_metadata_bytes=2**16, max_items=2000, max_nesting=24, max_fields=64)

Frames = list[bytes]


class Violation(AssertionError):
    """An input that does not keep the invariant."""


def timed(function: Callable[[], Any]) -> Any:
    """What ``function`` gives or the DecodeError that it raises; Violation if it takes too long, every time."""
    fastest = None
    for _ in range(5):  # another process, or a page that comes from disk, is not the decoder's doing
        started = time.thread_time_ns()
        try:
            result = function()
        except npt.DecodeError as error:
            result = error
        taken = (time.thread_time_ns() - started) / 1e9
        fastest = taken if fastest is None else min(fastest, taken)
        if fastest < MOST_SECONDS:
            return result
    raise Violation(f"{fastest * 1000:.1f} ms")


def judge(result: Any, parts: list[Any]) -> str:
    """Check what came out; a word for it, the same for like outcomes."""
    if isinstance(result, npt.DecodeError):
        return refused(result)
    touch(result, memory_of(parts), LIMITS.max_items)
    return type(result).__name__ + (str(result.dtype.kind) if isinstance(result, np.ndarray) else "")


def refused(error: npt.DecodeError) -> str:
    """The same for an error."""
    check_error(error)
    return re.sub(r"[0-9]+|'[^']*'|b\"[^\"]*\"", "#", str(error))[:120]
