"""What cannot travel: an EncodeError that says where it sits and what to do, and nothing but that."""

from __future__ import annotations

import contextlib
import decimal
import enum
import pathlib
import sys
import types
from collections import OrderedDict, namedtuple
from datetime import date, datetime, timedelta, timezone, tzinfo
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import numpy as np
import pytest
from dtype_strategies import HAS_STRING_DTYPE

import nptransport as npt


def refusal(payload: Any, **options: Any) -> npt.EncodeError:
    with pytest.raises(npt.EncodeError) as caught:
        npt.encode(payload, **options)
    with pytest.raises(npt.EncodeError):
        npt.dumps(payload, **options)
    error = caught.value
    assert str(error) == f"{error.path}: {error.reason}"
    return error


def function() -> None:
    """Something callable."""


Point = namedtuple("Point", "x y")


class Color(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class Bytes(bytes):
    """Would pass for an array, since it exports its memory."""


class Moment(datetime):
    pass


OVERLAID = np.dtype(("<i4", [("low", "<i2"), ("high", "<i2")]))


class Elsewhere(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (function, "function cannot travel; send what it returns"),
        (lambda: None, "send what it returns"),
        (int, "type cannot travel"),
        (np.ndarray, "type cannot travel"),
        (np.sin, "ufunc cannot travel"),
        ({1, 2}, r"set cannot travel; send sorted\(value\) or list\(value\)"),
        (frozenset([1]), r"send sorted\(value\) or list\(value\)"),
        (range(3), "range cannot travel"),
        (iter([1]), "list_iterator cannot travel"),
        (1j, "complex cannot travel"),
        (decimal.Decimal(1), "decimal.Decimal cannot travel"),
        (date(2024, 1, 1), "datetime.date cannot travel"),
        (timedelta(1), "datetime.timedelta cannot travel"),
        (pathlib.PurePath("a"), "cannot travel"),
        (object(), "object cannot travel"),
        (..., "ellipsis cannot travel"),
        (ValueError("x"), "ValueError cannot travel"),
        (np, "module cannot travel"),
        (np.dtype("f4"), "cannot travel"),
        (types.SimpleNamespace(a=1), "SimpleNamespace cannot travel"),
        (msgpack.ExtType(1, b"\0\0\0\0"), "ExtType cannot travel; .*plain tuple"),
        (msgpack.Timestamp(1), "Timestamp cannot travel"),
        (OrderedDict(a=1), r"OrderedDict cannot travel; it would arrive as a plain dict: send dict\(value\)"),
        (Point(1, 2), r"plain tuple: send tuple\(value\)"),
        (Color.RED, r"plain int: send int\(value\)"),
        (Text("a"), r"plain str: send str\(value\)"),
        (Bytes(b"a"), r"plain bytes: send bytes\(value\)"),
        (Moment(2024, 1, 1), "plain datetime"),
        (
            datetime(2024, 1, 1, tzinfo=Elsewhere()),
            "a datetime in Elsewhere cannot travel; use timezone.utc or ZoneInfo",
        ),
        ("\ud800", "lone surrogates.* send it as bytes"),
        ("x" * 2000 + "\ud800", "lone surrogates.* send it as bytes"),
        (np.str_("\ud800"), "lone surrogates.* send it as bytes"),
        (np.array([None]), r"object dtype cannot travel: it holds pointers; convert it, with astype\(float\) say"),
        (np.ma.MaskedArray([None]), "object dtype cannot travel"),
        (np.zeros(1, OVERLAID), r"fields laid over <i4 cannot travel; send array.view\('<i4'\)"),
    ],
    ids=lambda value: f"{type(value).__name__}" if not isinstance(value, str) else None,
)
def test_values_that_cannot_travel(value, reason):
    error = refusal([0, {"here": value}])
    assert error.path == "payload[1]['here']"
    error = refusal(value)
    assert error.path == "payload"
    with pytest.raises(npt.EncodeError, match=reason):
        npt.encode(value)


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"a": [1, (2, {3: {4}})]}, "payload['a'][1][1][3]"),
        ({None: {b"k": object()}}, "payload[None][b'k']"),
        ({frozenset([1]): 1}, "payload[frozenset({1})]"),
        ({(1, frozenset([2])): 1}, "payload[(1, frozenset({2}))]"),
        ({"a": np.zeros(2, [("x", "i4"), ("y", "O")])}, "payload['a'].y"),
        (np.zeros(2, [("x", [("y", [("z", "O")])])]), "payload.x.y.z"),
        ([np.zeros(1, "i4,O")[0]], "payload[0].f1"),
        (np.zeros(1, {"names": ["\ud800"], "formats": ["i4"]}), "payload"),
        (np.zeros(1, {"names": ["a"], "formats": ["i4"], "titles": ["\ud800"]}), "payload.a"),
        (np.zeros(1, {"names": ["a"], "formats": ["i4"], "titles": [(1, 2)]}), "payload.a"),
        ([np.ma.MaskedArray(np.zeros(1, "i4,O"))], "payload[0].f1"),
    ],
)
def test_the_path_leads_to_it(payload, path):
    assert refusal(payload).path == path


def test_a_long_key_is_cut_short_in_the_path():
    assert len(refusal({"x" * 10_000: {1}}).path) < 120


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text for this one")


@pytest.mark.parametrize("key", [10**5000, (1, 10**5000), Unprintable()], ids=["int", "tuple", "repr that raises"])
def test_a_key_that_python_cannot_print(key):
    assert refusal({key: {1}}).path.startswith("payload[")


def test_an_array_is_no_key():
    # A memoryview can be hashed here, but the array that it would arrive as cannot.
    assert "as a key" in refusal({memoryview(b"ab"): 1}).reason


class Broken:
    """Claims to export an array, but fails at it."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class BrokenProperty:
    @property
    def __array_interface__(self) -> None:
        raise RuntimeError("closed")


class BrokenCapsule:
    def __dlpack__(self, **_: Any) -> None:
        raise RuntimeError("closed")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class BrokenBuffer:
    def __buffer__(self, _: int) -> memoryview:
        raise RuntimeError("closed")


def released() -> memoryview:
    view = memoryview(b"ab")
    view.release()
    return view


@pytest.mark.parametrize(
    "exporter",
    [
        Broken(__array_interface__={"shape": (2,)}),
        Broken(__array_interface__={"shape": (2,), "typestr": "|O8", "version": 3}),
        Broken(__array_interface__={"shape": (2,), "typestr": "<f8", "version": 3, "data": 5}),
        Broken(__array_interface__=None),
        BrokenProperty(),
        BrokenCapsule(),
        BrokenBuffer(),
        released(),
    ],
    ids=lambda exporter: type(exporter).__name__,
)
def test_exporters_that_fail(exporter):
    assert refusal([exporter]).path == "payload[0]"


@pytest.mark.skipif(not HAS_STRING_DTYPE, reason="needs NumPy 2")
def test_a_string_dtype_whose_missing_object_has_no_place_in_the_format():
    error = refusal(np.array(["a"], np.dtypes.StringDType(na_object=object)))
    assert "na_object" in error.reason
    assert "use None, numpy.nan or a str" in error.reason


def test_a_time_zone_without_a_name_is_refused_and_the_text_says_that_it_is_the_name():
    try:
        file = resources.files("tzdata.zoneinfo").joinpath("UTC").open("rb")
    except ModuleNotFoundError:
        path = pathlib.Path("/usr/share/zoneinfo/UTC")
        if not path.exists():
            pytest.skip("no time zones here")
        file = path.open("rb")
    with file:
        nameless = ZoneInfo.from_file(file)
    assert "key" in refusal(datetime(2024, 1, 1, tzinfo=nameless)).reason
    assert npt.decode(npt.encode(datetime(2024, 1, 1, tzinfo=timezone.utc))).tzinfo is timezone.utc


def cycles() -> list[Any]:
    through_list: list[Any] = []
    through_list.append(through_list)
    through_dict: dict[str, Any] = {}
    through_dict["self"] = through_dict
    through_tuple: list[Any] = []
    through_tuple.append((through_tuple,))
    return [through_list, through_dict, through_tuple]


@pytest.mark.parametrize("payload", cycles(), ids=["list", "dict", "tuple"])
def test_a_cycle(payload):
    error = refusal(payload)
    assert "is there a cycle?" in error.reason
    assert len(str(error)) < 2000


@pytest.mark.parametrize("depth", [400, 600, 5_000, 50_000])
@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {1: x}], ids=["list", "tuple", "dict"])
def test_no_depth_is_too_much_whatever_the_limits(wrap, depth):
    payload = 1
    for _ in range(depth):
        payload = wrap(payload)
    limits = npt.Limits(max_nesting=10**6, max_items=10**6)
    with contextlib.suppress(npt.EncodeError):
        npt.decode(npt.encode(payload, limits=limits), limits=limits)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes export buffers since Python 3.12")
@pytest.mark.parametrize("kind", [BufferError, MemoryError, KeyError])
def test_whatever_an_exporter_raises_is_an_encode_error(kind):
    class Exporter:
        def __buffer__(self, _: int) -> memoryview:
            raise kind("closed")

    assert refusal([Exporter()]).path == "payload[0]"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([0, 1, 2], np.uint8).view(bool), "bool element: expected at most 0x1, found 0x2"),
        (np.array([0x110000], np.uint32).view("U1"), "text element: expected at most 0x10ffff, found 0x110000"),
        (np.array([(1, 255)], "i4,u1").view([("a", "i4"), ("b", "?")]), "bool element: expected at most 0x1"),
    ],
)
def test_elements_that_a_receiver_would_refuse(array, reason):
    with pytest.raises(npt.EncodeError) as caught:
        npt.encode({"mask": array})
    assert caught.value.path == "payload['mask']"
    assert caught.value.reason.startswith(reason)
