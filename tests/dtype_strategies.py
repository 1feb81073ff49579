"""Every dtype that the format carries: as strategies for hypothesis, and one of each for tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

try:
    import ml_dtypes
except ImportError:  # an extra of the package: without it there is nothing to send
    ml_dtypes = None

HAS_STRING_DTYPE = hasattr(np.dtypes, "StringDType")

_NUMBERS = ["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
NUMBERS = ["|i1", "|u1"] + [order + code for order in "<>" for code in _NUMBERS]
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]
ML_NAMES = [
    *("bfloat16", "bcomplex32", "complex32", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4"),
    *("float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"),
    *("float8_e8m0fnu", "int1", "int2", "int4", "uint1", "uint2", "uint4"),
]


def longdoubles() -> list[Any]:
    return [np.dtype(code).newbyteorder(order) for code in (np.longdouble, np.clongdouble) for order in "<>"]


def ml_dtypes_here() -> list[Any]:
    """All that are installed, in both byte orders: older releases know fewer."""
    natives = [np.dtype(getattr(ml_dtypes, name)) for name in ML_NAMES if hasattr(ml_dtypes, name)]
    return natives + [native.newbyteorder() for native in natives]


def string_dtypes() -> list[Any]:
    """StringDType with every kind of na_object, coercing or not."""
    if not HAS_STRING_DTYPE:
        return []
    kinds: list[dict[str, Any]] = [{}, {"na_object": None}, {"na_object": np.nan}, {"na_object": "N/A"}]
    return [np.dtypes.StringDType(coerce=coerce, **kind) for kind in kinds for coerce in (True, False)]


@st.composite
def _times(draw: Any) -> np.dtype[Any]:
    order, code = draw(st.sampled_from("<>")), draw(st.sampled_from("mM"))
    if code == "m" and draw(st.integers(0, 7)) == 0:
        return np.dtype(f"{order}m8")  # generic: no unit yet; NumPy cannot print such a datetime64
    multiple = draw(st.sampled_from([1, 1, 2, 7, 25, 999_999_999]))
    return np.dtype(f"{order}{code}8[{multiple}{draw(st.sampled_from(UNITS))}]")


@st.composite
def _sized(draw: Any) -> np.dtype[Any]:
    return np.dtype(f"{draw(st.sampled_from(['S', '<U', '>U', 'V']))}{draw(st.integers(0, 5))}")


def simple_dtypes() -> st.SearchStrategy[Any]:
    """All but the structured ones and StringDType, which cannot be a field."""
    return st.one_of(
        st.just(np.dtype("?")),
        st.sampled_from(NUMBERS).map(np.dtype),
        _times(),
        _sized(),
        st.sampled_from(longdoubles() + ml_dtypes_here()),
    )


# An empty name, names that need care in other languages, and longer ones.
_NAMES = st.one_of(st.sampled_from(["", " ", "x", "a.b", "f0", "é", "名", "\x00"]), st.text(max_size=4)).filter(
    lambda name: all(not 0xD800 <= ord(letter) <= 0xDFFF for letter in name)
)
_SHAPES = st.one_of(st.just(()), st.lists(st.integers(0, 3), max_size=2).map(tuple))


@st.composite
def structured_dtypes(draw: Any, inner: st.SearchStrategy[Any]) -> np.dtype[Any]:
    """Packed, aligned, with gaps, out of order or overlapping; with titles, with sub-arrays, without any field."""
    layout = draw(st.sampled_from(["packed", "aligned", "gaps", "overlapping"]))
    # Where fields overlap, bytes that are right for one may be no bool and no code point for the other.
    formats = st.sampled_from(NUMBERS).map(np.dtype) if layout == "overlapping" else inner
    # NumPy 1 gives an aligned structure without fields an alignment of 0, and dies of it where that is a field.
    fewest = 1 if layout == "aligned" and not HAS_STRING_DTYPE else 0
    fields = draw(st.lists(st.tuples(formats, _SHAPES), min_size=fewest, max_size=4))
    words = draw(st.lists(_NAMES, min_size=2 * len(fields), max_size=2 * len(fields), unique=True))
    spec: dict[str, Any] = {
        "names": words[: len(fields)],
        # NumPy has no sub-arrays of elements without bytes.
        "formats": [(dtype, shape) if shape and dtype.itemsize else dtype for dtype, shape in fields],
    }
    if fields and draw(st.integers(0, 3)) == 0:
        spec["titles"] = [word if draw(st.booleans()) else None for word in words[len(fields) :]]
    if layout == "aligned":
        return np.dtype(spec, align=True)
    if layout == "packed":
        return np.dtype(spec)
    offsets, end = [], 0
    for field in spec["formats"]:
        size = np.dtype(field).itemsize
        offsets.append(draw(st.integers(0, 4)) if layout == "overlapping" else end + draw(st.integers(0, 5)))
        end = max(end, offsets[-1] + size)
    itemsize = end + draw(st.integers(0, 3))
    order = draw(st.permutations(range(len(fields)))) if layout == "gaps" else range(len(fields))
    for key, values in {**spec, "offsets": offsets}.items():
        spec[key] = [values[i] for i in order]
    return np.dtype({**spec, "itemsize": itemsize})


def field_dtypes() -> st.SearchStrategy[Any]:
    """Every dtype that may be a field."""
    flat = structured_dtypes(simple_dtypes())
    return st.one_of(simple_dtypes(), flat, structured_dtypes(st.one_of(simple_dtypes(), flat)))


def all_dtypes() -> st.SearchStrategy[Any]:
    return st.one_of(field_dtypes(), st.sampled_from(string_dtypes())) if HAS_STRING_DTYPE else field_dtypes()


STRUCTURED = [
    [("a", "i1"), ("b", ">f8"), ("c", "U3")],
    np.dtype([("a", "i1"), ("b", "f8"), ("c", "?")], align=True),
    {"names": ["b", "a"], "formats": ["i4", "?"], "offsets": [8, 1], "itemsize": 16},
    {"names": ["low", "both"], "formats": ["<u2", "<u4"], "offsets": [0, 0]},
    {"names": ["a", "b"], "formats": ["i4", "i4"], "titles": ["Title of a", None]},
    [("inner", [("x", "f4"), ("y", [("z", "M8[s]", (2,))])], (2, 3))],
    {"names": ["", "é", "名"], "formats": ["i2", "S2", "V2"]},
    [],
    {"names": [], "formats": [], "itemsize": 4},
]


def every_dtype() -> list[Any]:
    """One of each, for tables that leave out none."""
    texts = ["S0", "S3", "<U0", "<U2", ">U2", "V0", "V3"]
    times = ["<M8[ns]", ">M8[25us]", "<M8[W]", "<m8[2h]", ">m8", "<m8[as]"]
    plain = [np.dtype(dtype) for dtype in ["?", *NUMBERS, *texts, *times, *STRUCTURED]]
    return plain + longdoubles() + ml_dtypes_here() + string_dtypes()
