"""What "what is sent is what arrives" means: the comparison behind every round trip.

``same`` is stricter than ``==``: types, dtypes down to titles and alignment, bytes of elements with the payload of
a NaN, key order, tuple or list. Only bytes that belong to no element may differ: the padding of a structure.
"""

from __future__ import annotations

import math
import struct
import warnings
from datetime import datetime
from typing import Any

import numpy as np
from numpy import ma


def same(sent: Any, arrived: Any) -> bool:
    """Whether ``arrived`` is what ``sent`` has to arrive as."""
    return difference(sent, arrived) is None


def difference(sent: Any, arrived: Any, path: str = "payload") -> str | None:
    """The first place where the two differ, as a text for the failing test; None where they do not."""
    if type(sent) is not type(arrived):
        return f"{path}: {type(sent)} became {type(arrived)}"
    if isinstance(sent, dict):
        return _difference_of_dicts(sent, arrived, path)
    if isinstance(sent, (list, tuple)):
        if len(sent) != len(arrived):
            return f"{path}: {len(sent)} items became {len(arrived)}"
        return _first(difference(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(sent, arrived, strict=True)))
    if isinstance(sent, ma.MaskedArray):
        return _difference_of_masked(sent, arrived, path)
    if isinstance(sent, np.ndarray):
        return _difference_of_arrays(sent, arrived, path)
    if isinstance(sent, (np.str_, np.bytes_)):  # arrays, and str(), drop the trailing zeros that they have
        return None if list(sent) == list(arrived) else f"{path}: {list(sent)} became {list(arrived)}"
    if isinstance(sent, np.generic):
        return _difference_of_arrays(np.asarray(sent), np.asarray(arrived), path)
    if _plain(sent) != _plain(arrived):
        return f"{path}: {sent!r:.80} became {arrived!r:.80}"
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, datetime):
        zone = value.tzinfo
        key = getattr(zone, "key", None)
        return value.replace(tzinfo=None), value.fold, type(zone), key, None if key else value.utcoffset()
    return value


def _difference_of_dicts(sent: dict[Any, Any], arrived: dict[Any, Any], path: str) -> str | None:
    if len(sent) != len(arrived):
        return f"{path}: {len(sent)} entries became {len(arrived)}"
    pairs = zip(sent.items(), arrived.items(), strict=True)
    return _first(
        difference(key, other_key, f"{path} key {i}") or difference(value, other_value, f"{path}[{_name(key)}]")
        for i, ((key, value), (other_key, other_value)) in enumerate(pairs)
    )


def _name(key: Any) -> str:
    return f"{key!r:.40}" if not isinstance(key, int) or key.bit_length() < 1000 else "a big int"


def _difference_of_masked(sent: Any, arrived: Any, path: str) -> str | None:
    if sent.hardmask != arrived.hardmask:
        return f"{path}: hardmask {sent.hardmask} became {arrived.hardmask}"
    sent_mask, arrived_mask = ma.getmask(sent), ma.getmask(arrived)
    if (sent_mask is ma.nomask) != (arrived_mask is ma.nomask):
        return f"{path}: mask {sent_mask!r:.40} became {arrived_mask!r:.40}"
    found = _difference_of_arrays(ma.getdata(sent), ma.getdata(arrived), f"{path}.data")
    if not found and sent_mask is not ma.nomask:
        found = _difference_of_arrays(np.asarray(sent_mask), np.asarray(arrived_mask), f"{path}.mask")
    return found or difference(_filled(sent), _filled(arrived), f"{path}.filled()")


def _filled(array: Any) -> Any:
    """What stands where all is masked: the fill value as NumPy casts it, or the name of what NumPy raises there."""
    every = ma.MaskedArray(np.zeros(array.shape, array.dtype), mask=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # 1e20, the default, does not fit a float16
        try:
            return every.filled(array.fill_value)
        except (TypeError, ValueError) as error:  # and a timedelta64[2h], say, has no default that NumPy could cast
            return type(error).__name__


def _difference_of_arrays(sent: Any, arrived: Any, path: str) -> str | None:
    found = difference_of_dtypes(sent.dtype, arrived.dtype, path)
    if found:
        return found
    if sent.shape != arrived.shape:
        return f"{path}: shape {sent.shape} became {arrived.shape}"
    if sent.nbytes and not arrived.flags.c_contiguous and not arrived.flags.f_contiguous:
        return f"{path}: strides {arrived.strides} with holes"
    for order in ("c_contiguous", "f_contiguous") if sent.nbytes else ():
        if getattr(sent.flags, order) and not getattr(arrived.flags, order):
            return f"{path}: {order} lost"
    return _difference_of_elements(sent, arrived, path)


def difference_of_dtypes(sent: Any, arrived: Any, path: str) -> str | None:
    """The first thing in which two dtypes differ, or None."""
    for fact in ("kind", "str", "name", "itemsize", "alignment", "isalignedstruct", "names", "shape"):
        if getattr(sent, fact) != getattr(arrived, fact):
            return f"{path}.dtype.{fact}: {getattr(sent, fact)!r} became {getattr(arrived, fact)!r}"
    if sent.kind == "T":
        missing = [getattr(dtype, "na_object", "no na_object at all") for dtype in (sent, arrived)]
        both_nan = all(isinstance(value, float) and math.isnan(value) for value in missing)
        if sent.coerce != arrived.coerce or not (both_nan or missing[0] == missing[1]):
            return f"{path}.dtype: {sent!r} became {arrived!r}"
    if sent.shape:
        return difference_of_dtypes(sent.base, arrived.base, path)
    for name in sent.names or ():
        (sent_field, *sent_place), (arrived_field, *arrived_place) = sent.fields[name], arrived.fields[name]
        if sent_place != arrived_place:
            return f"{path}.{name}: offset and title {sent_place} became {arrived_place}"
        found = difference_of_dtypes(sent_field, arrived_field, f"{path}.{name}")
        if found:
            return found
    return None if sent == arrived else f"{path}.dtype: {sent!r} became {arrived!r}"


def _difference_of_elements(sent: Any, arrived: Any, path: str) -> str | None:
    if sent.dtype.names is not None:
        return _first(_difference_of_elements(sent[name], arrived[name], f"{path}.{name}") for name in sent.dtype.names)
    if _element_bytes(sent) != _element_bytes(arrived):
        return f"{path}: {sent!r:.200} became {arrived!r:.200}"
    return None


def _element_bytes(array: Any) -> Any:
    if array.dtype.kind == "T":
        return [text if type(text) is str else None for text in array.ravel().tolist()]
    if (
        array.dtype.type in (np.longdouble, np.clongdouble) and np.finfo(np.longdouble).nmant == 63
    ):  # x87: 10 bytes, and 6 of padding
        raw = np.frombuffer(array.tobytes(), "u1").reshape(-1, 16)
        return (raw[:, 6:] if array.dtype.str.startswith(">") else raw[:, :10]).tobytes()
    return array.tobytes()


def _first(differences: Any) -> str | None:
    return next((found for found in differences if found), None)
