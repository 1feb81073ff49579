"""Payloads in plain JSON, as the vectors note them: for readers in any language.

    null, true, "text", [...]       themselves
    5, {"int": "18446744073709551615"}   whole numbers, as text where JSON's own may lose digits
    {"float": "1.5"}                 also "nan", "inf", "-inf"
    {"complex": ["1.0", "-2.0"]}     real and imaginary part
    {"bytes": "00ff"}                hexadecimal
    {"tuple": [...]}
    {"dict": [[key, value], ...]}    in order
    {"datetime": ["2024-01-31T12:00:00", fold, zone]}
    {"scalar": {dtype, element}}
    {"array": {dtype, shape, order, elements}}
    {"masked": {data, mask, fill, hard}}

``dtype`` is the descriptor on the wire. ``elements`` are nested lists, last index innermost, of any order in memory.
Elements: datetime64 and timedelta64 are their count of units, structures lists, a missing string null, and bytes what
has no other notation.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgpack
import numpy as np
from numpy import ma

import nptransport as npt


def plain(value: Any) -> Any:
    """The notation of ``value``."""
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return value if abs(value) < 2**53 else {"int": str(value)}
    if type(value) is float:
        return {"float": repr(value)}
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [plain(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[plain(key), plain(item)] for key, item in value.items()]}
    if type(value) is datetime:
        return {"datetime": [value.replace(tzinfo=None).isoformat(), value.fold, _zone(value)]}
    if type(value) is np.str_:
        return {"scalar": {"dtype": "text", "element": "".join(value)}}
    if type(value) is np.bytes_:
        return {"scalar": {"dtype": "bytes", "element": {"bytes": bytes(value).hex()}}}
    if isinstance(value, np.generic):
        array = np.asarray(value)
        return {"scalar": {"dtype": descriptor(array), "element": elements(array)}}
    if type(value) is ma.MaskedArray:
        mask = ma.getmask(value)
        return {
            "masked": {
                "data": plain(ma.getdata(value)),
                "mask": None if mask is ma.nomask else plain(np.asarray(mask)),
                # What NumPy makes up where none is set is not on the wire.
                "fill": None if value._fill_value is None else plain(value.fill_value),
                "hard": value.hardmask,
            }
        }
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    array = {"dtype": descriptor(value), "shape": list(value.shape), "order": order, "elements": elements(value)}
    return {"array": array}


def _zone(value: datetime) -> Any:
    offset = value.utcoffset()
    return None if offset is None else getattr(value.tzinfo, "key", offset // timedelta(microseconds=1))


def descriptor(array: np.ndarray[Any, Any]) -> Any:
    """As it stands in the metadata, since the vectors fix what that is."""
    found = msgpack.unpackb(npt.encode(array)[0])["parts"][0][0]
    if isinstance(found, dict) and "missing" in found:
        return {**found, "missing": plain(found["missing"])}
    return found


def elements(array: np.ndarray[Any, Any]) -> Any:
    if array.ndim:
        return [elements(array[i, ...]) for i in range(len(array))]
    dtype, value = array.dtype, array[()]
    if dtype.names is not None:
        return [elements(array[name]) for name in dtype.names]
    if dtype.kind in "mM":
        return plain(int(array.reshape(1).view(np.dtype("i8").newbyteorder(dtype.byteorder))[0]))
    if dtype.kind == "b":
        return bool(value)
    if dtype.kind in "iu":
        return plain(int(value))
    if dtype.str[1:] in ("f2", "f4", "f8"):
        return plain(float(value))
    if dtype.str[1:] in ("c8", "c16"):
        return {"complex": [repr(float(value.real)), repr(float(value.imag))]}
    if dtype.kind == "U":
        return str(value)
    if dtype.kind == "S":
        return plain(bytes(value))
    if dtype.kind == "T":
        return str(value) if isinstance(value, str) else None
    return {"bytes": array.tobytes().hex()}
