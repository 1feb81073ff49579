"""Arrays in every layout, and payloads that hold them, for hypothesis."""

from __future__ import annotations

import contextlib
import functools
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from dtype_strategies import all_dtypes, field_dtypes
from hypothesis import strategies as st

LAYOUTS = ["C", "F", "strided", "reversed", "broadcast", "transposed", "sliced F"]


def fill(array: np.ndarray[Any, Any], random: np.random.Generator) -> None:
    """Random bytes into every element: NaN with payloads, NaT, any code point. Padding stays as it is."""
    dtype = array.dtype
    if not array.size:
        return
    if dtype.names is not None:
        for name in dtype.names:
            fill(array[name], random)
    elif dtype.kind == "b":
        array[...] = random.integers(0, 2, array.shape)
    elif dtype.kind == "T":
        texts = ["", "a", "N/A", "é\x00", "名前" * 9, "long enough to live outside the array"]
        if hasattr(dtype, "na_object"):
            texts.append(dtype.na_object)
        array[...] = np.array([texts[i] for i in random.integers(0, len(texts), array.size)], dtype).reshape(
            array.shape
        )
    elif dtype.kind in "mM":
        ticks = random.integers(-9999, 9999, array.shape)
        ticks[random.integers(0, 4, array.shape) == 0] = np.iinfo("i8").min  # NaT
        array[...] = ticks.astype(dtype)
    elif dtype.itemsize:
        raw = random.bytes(array.size * dtype.itemsize)
        if dtype.kind == "U":
            points = random.integers(0, 0x110000 - 0x800, array.size * dtype.itemsize // 4)
            points[points >= 0xD800] += 0x800  # no surrogates: an array may hold them, a scalar may not
            raw = points.astype(np.dtype("u4").newbyteorder(dtype.byteorder)).tobytes()
        array[...] = np.frombuffer(raw, dtype).reshape(array.shape)


def laid_out(layout: str, shape: tuple[int, ...], dtype: Any, random: np.random.Generator) -> np.ndarray[Any, Any]:
    if layout == "F":
        array = np.zeros(shape, dtype, order="F")
    elif layout == "strided":
        array = _every(2, np.zeros([2 * length for length in shape], dtype))
    elif layout == "sliced F":
        array = np.zeros([length + 1 for length in shape], dtype, order="F")[(..., *[slice(1, None)] * len(shape))]
    elif layout == "transposed":
        axes = random.permutation(len(shape))
        array = np.zeros([shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))
    else:
        array = np.zeros(shape, dtype)
    fill(array, random)
    if layout == "reversed":
        return _every(-1, array)
    return np.broadcast_to(array[:1], shape) if layout == "broadcast" and 0 not in shape[:1] and shape else array


def _every(step: int, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array[(..., *[slice(None, None, step)] * array.ndim)]  # with the dots, 0-d stays an array


_SHAPES = st.lists(st.sampled_from([0, 1, 1, 2, 3, 4]), max_size=4).map(tuple)
_SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def arrays(draw: Any, dtypes: st.SearchStrategy[Any] = all_dtypes()) -> np.ndarray[Any, Any]:  # noqa: B008
    """0 to 4 dimensions, empty ones too, of any dtype and memory layout."""
    random = np.random.default_rng(draw(_SEEDS))
    return laid_out(draw(st.sampled_from(LAYOUTS)), draw(_SHAPES), draw(dtypes), random)


@st.composite
def masked_arrays(draw: Any) -> Any:
    """Masked arrays, or the array itself where numpy.ma cannot make one of its dtype."""
    data, hard, kind = draw(arrays()), draw(st.booleans()), draw(st.sampled_from(["nomask", "none", "some"]))
    with_fill_value = draw(st.booleans())
    random = np.random.default_rng(draw(_SEEDS))
    try:
        mask: Any = np.zeros(data.shape, np.ma.make_mask_descr(data.dtype))
        if kind == "some":
            fill(mask, random)
        masked = np.ma.MaskedArray(data, mask=np.ma.nomask if kind == "nomask" else mask, hard_mask=hard)
        if data.size and with_fill_value:
            masked.fill_value = data[(0,) * data.ndim]
    except (TypeError, ValueError, RuntimeWarning):
        return data
    return masked


@st.composite
def numpy_scalars(draw: Any) -> Any:
    array = np.zeros((1,), draw(field_dtypes()))
    fill(array, np.random.default_rng(draw(_SEEDS)))
    return array[0]


def _zones() -> list[Any]:
    zones: list[Any] = [None, timezone.utc]
    for key in ("UTC", "Europe/Berlin", "America/St_Johns"):
        with contextlib.suppress(ZoneInfoNotFoundError):  # a system without time zones, and no tzdata
            zones.append(ZoneInfo(key))
    return zones


HAS_TIME_ZONES = len(_zones()) > 2
_OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)


@st.composite
def datetimes(draw: Any) -> datetime:
    zone = draw(st.one_of(st.sampled_from(_zones()), _OFFSETS))
    return draw(st.datetimes()).replace(tzinfo=zone, fold=draw(st.integers(0, 1)))


BIG_INTS = st.one_of(
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**2000]),
    st.integers(-(2**200), 2**200),
)
_TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8), st.sampled_from(["x" * 1023, "x" * 1024, "é" * 511, "é" * 512])
)
_BYTES = st.one_of(st.binary(max_size=8), st.sampled_from([bytes(1023), bytes(1024)]))
_PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), BIG_INTS, st.floats(width=64), _TEXTS, _BYTES, datetimes())
KEYS = st.recursive(_PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
LEAVES = st.one_of(_PLAIN, arrays(), masked_arrays(), numpy_scalars())


@st.composite
def payloads(draw: Any, max_leaves: int = 8) -> Any:
    """Nests of dict, list and tuple over every kind of value."""
    return draw(_payloads(max_leaves))


@functools.cache
def _payloads(max_leaves: int) -> st.SearchStrategy[Any]:
    return st.recursive(LEAVES, _containers, max_leaves=max_leaves)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    return st.one_of(lists, lists.map(tuple), st.dictionaries(KEYS, inner, max_size=4))
