"""The single values that msgpack does not have, NumPy's scalars and times, each beside its way back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from ..errors import DecodeError, EncodeError
from ..limits import Limits
from . import dtypes, elements

__all__ = ["checked", "lift_datetime", "lift_scalar", "lower_datetime", "lower_scalar"]

_DATETIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?"


def lower_scalar(value: np.generic, limits: Limits) -> list[Any]:
    # NumPy's own view of these two strips the trailing zeros that the scalar has, and so does str().
    if isinstance(value, np.str_):
        try:
            return ["text", value.encode().decode()]
        except UnicodeEncodeError:
            raise EncodeError.at(
                "", "a str with lone surrogates cannot be written in UTF-8; send it as bytes"
            ) from None
    if isinstance(value, np.bytes_):
        return ["bytes", bytes(value)]
    array = np.asarray(value)
    if array.dtype.names is not None and dtypes.inner_dimensions(array.dtype) > limits.max_dimensions:
        raise EncodeError.at("", f"fields of more than {limits.max_dimensions} dimensions (Limits.max_dimensions)")
    return [dtypes.describe(array.dtype, limits), array.tobytes()]


def lift_scalar(value: Any, limits: Limits) -> np.generic:
    descriptor, data = checked(value, list, "scalar", 2)
    if descriptor == "text":
        return np.str_(checked(data, str, "text scalar"))
    if descriptor == "bytes":
        return np.bytes_(checked(data, bytes, "bytes scalar"))
    dtype = dtypes.rebuild(descriptor, limits)
    if dtype.names is not None:
        dtypes.check_dimensions(dtypes.inner_dimensions(dtype), limits)
    if len(checked(data, bytes, "scalar")) != dtype.itemsize:
        raise DecodeError.of("scalar", expected=f"{dtype.itemsize} bytes for {dtype}", found=f"{len(data)}")
    if not data:
        return np.empty((1,), dtype)[0]
    one = np.frombuffer(data, dtype)
    mirror = elements.mirror(dtype)
    if mirror is not None:
        elements.check_elements(one.view(mirror))
    return one[0]


def lower_datetime(value: datetime) -> list[Any]:
    from zoneinfo import ZoneInfo  # here, since few need it: it would be a tenth of our import time

    zone, text = value.tzinfo, value.replace(tzinfo=None).isoformat()
    if zone is None:
        return [text, value.fold, None]
    if type(zone) is timezone:
        return [text, value.fold, zone.utcoffset(None) // timedelta(microseconds=1)]
    if type(zone) is ZoneInfo and zone.key is not None:
        return [text, value.fold, zone.key]
    raise EncodeError.at("", f"a datetime in {type(zone).__name__} cannot travel; use timezone.utc or ZoneInfo(key)")


def lift_datetime(value: Any, limits: Limits) -> datetime:
    from zoneinfo import ZoneInfo

    text, fold, zone = checked(value, list, "datetime", 3)
    if type(fold) is not int or fold not in (0, 1):
        raise DecodeError.of("datetime", expected="0 or 1 as fold", found=f"{fold!r:.40}")
    if re.fullmatch(_DATETIME, checked(text, str, "datetime")) is None:  # Python's releases read more, each its own
        raise DecodeError.of("datetime", expected="YYYY-MM-DDTHH:MM:SS or with .ffffff", found=f"{text!r:.60}")
    lifted = datetime.fromisoformat(text).replace(fold=fold)
    if zone is None:
        return lifted
    if type(zone) is int:
        return lifted.replace(tzinfo=timezone(timedelta(microseconds=zone)))
    try:
        return lifted.replace(tzinfo=ZoneInfo(checked(zone, str, "time zone")))
    except (ValueError, OSError, LookupError):
        raise DecodeError.of(
            "time zone", expected="one that is known here", found=f"{zone!r:.60}", hint="pip install tzdata"
        ) from None


def checked(value: Any, kind: type[Any], what: str, length: int | None = None) -> Any:
    if not isinstance(value, kind) or (length is not None and len(value) != length):
        wanted = kind.__name__ if length is None else f"{kind.__name__} of {length}"
        raise DecodeError.of(what, expected=wanted, found=f"{type(value).__name__}")
    return value
