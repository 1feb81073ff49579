"""What is sent is what arrives: types, dtypes, shapes, memory order, key order and every byte of every element."""

from __future__ import annotations

import functools
import itertools
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from dtype_strategies import HAS_STRING_DTYPE, every_dtype, ml_dtypes_here, string_dtypes
from hypothesis import given, settings
from hypothesis import strategies as st
from same import difference, same
from strategies import BIG_INTS, KEYS, LAYOUTS, arrays, datetimes, laid_out, masked_arrays, numpy_scalars, payloads

import nptransport as npt


def over_the_wire(payload):
    """As it arrives: from bytes of its own, so that nothing can be the sender's object."""
    return npt.decode([bytes(frame) for frame in npt.encode(payload)])


def assert_round_trip(payload):
    assert difference(payload, over_the_wire(payload)) is None
    assert difference(payload, npt.loads(npt.dumps(payload))) is None


@settings(max_examples=400)
@given(arrays())
def test_arrays(array):
    assert_round_trip(array)


@given(masked_arrays())
def test_masked_arrays(array):
    assert_round_trip(array)


@settings(max_examples=200)
@given(numpy_scalars())
def test_numpy_scalars(scalar):
    assert_round_trip(scalar)


@given(datetimes())
def test_datetimes(value):
    assert_round_trip(value)


@given(BIG_INTS)
def test_whole_numbers_of_any_size(value):
    assert_round_trip([value, -value])


@given(st.dictionaries(KEYS, st.integers(), max_size=6))
def test_keys(payload):
    assert_round_trip(payload)


@settings(max_examples=200)
@given(payloads())
def test_payloads(payload):
    assert_round_trip(payload)


@given(payloads(max_leaves=3), payloads(max_leaves=3))
def test_a_message_does_not_depend_on_the_ones_before(first, second):
    alone = [bytes(frame) for frame in npt.encode(second)]
    npt.encode(first)
    assert [bytes(frame) for frame in npt.encode(second)] == alone
    npt.decode(npt.encode(first))
    assert difference(second, npt.decode(alone)) is None
    assert difference(second, npt.decode(alone)) is None


# The properties above choose at random; this table leaves out no pair.
@pytest.mark.parametrize("dtype", every_dtype(), ids=str)
def test_every_dtype_in_every_layout(dtype):
    for layout, shape in itertools.product(LAYOUTS, [(), (3,), (0,), (2, 0, 3), (3, 4), (2, 3, 4)]):
        assert_round_trip(laid_out(layout, shape, dtype, np.random.default_rng(1)))


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.array([1, 2]).view("M8"), id="datetime64 without a unit, which NumPy cannot print"),
        pytest.param(np.array([0xD800], "u4").view("U1"), id="a lone surrogate, which is a code point"),
        pytest.param(np.array([0x7FF0000000000001], "u8").view("f8"), id="a signalling NaN"),
        pytest.param(
            np.zeros(1, {"names": ["\n"], "formats": ["i1"], "titles": ["\x1f"]}), id="a title that is no print"
        ),
        pytest.param(np.zeros((1,) * 32), id="as many dimensions as NumPy 1 has"),
        pytest.param(np.zeros((0, 2**40)), id="empty in spite of a length"),
        pytest.param(np.zeros(1, "M8[1000000000s]"), id="the multiple of a unit is a C int"),
        pytest.param(np.zeros(1, "M8[2147483647s]"), id="the largest multiple of a unit"),
    ],
)
def test_corners_of_numpy(array):
    assert_round_trip(array)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(True, id="bool"),
        pytest.param(-0.0, id="minus zero"),
        pytest.param("\x00", id="a zero byte"),
        pytest.param({1: "int", "1": "str", b"1": "bytes", 1.5: "float", None: "none", (1, ("2", b"3")): 0}, id="keys"),
        pytest.param({"z": 1, "a": 2, "m": 3}, id="key order"),
        pytest.param({"x" * 2000: 1, b"x" * 2000: 2, 2**100: 3, datetime(2024, 1, 1): 4}, id="keys that are tagged"),
        pytest.param({(): 1}, id="an empty tuple as the only key"),
        pytest.param({10**5000: 1}, id="a key with more digits than Python prints"),
        pytest.param([(), [], {}, ([],), [()], {"": ()}], id="empty containers"),
        pytest.param([1, True, 1.0, np.int64(1), np.bool_(True), np.float64(1)], id="equal but not the same"),
        pytest.param([np.str_("ab\x00\x00"), np.bytes_(b"ab\x00\x00")], id="scalars that end in zeros"),
        pytest.param(datetime(2024, 10, 27, 2, 30, tzinfo=timezone(timedelta(microseconds=158))), id="tiny offset"),
        pytest.param(datetime.min, id="the first moment"),
        pytest.param(datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59))), id="the last moment"),
    ],
)
def test_corners_of_python(payload):
    assert_round_trip(payload)


@pytest.mark.parametrize("dtype", ["f2", "<m8[2h]", ">M8[7ps]", "M8", "V3", *ml_dtypes_here()[:2]], ids=str)
def test_masked_arrays_whose_default_fill_value_numpy_cannot_cast(dtype):
    assert_round_trip(np.ma.MaskedArray(np.zeros(2, dtype), mask=[True, False]))


@pytest.mark.parametrize("dtype", ml_dtypes_here()[:1], ids=str)
def test_the_fill_value_of_big_endian_elements_that_numpy_knows_only_by_their_package(dtype):
    """Both ways that lead to one byte order: NumPy's own is wrong for scalars, on either side."""
    swapped = dtype.newbyteorder()
    array = np.ma.MaskedArray(np.ones(2, dtype).astype(swapped), mask=[True, False], fill_value=dtype.type(1.5))
    assert over_the_wire(array).filled().tobytes() == array.filled().tobytes()
    assert over_the_wire(array).fill_value == array.fill_value


def test_a_mask_has_the_fields_of_its_data():
    """NumPy leaves the mask's as they were where those of the data are fewer, or renamed."""
    array = np.ma.MaskedArray(np.zeros(2, [("a", "i4"), ("b", "f4")]), mask=[(1, 0), (0, 1)])
    assert over_the_wire(array[["b"]]).mask.tolist() == [(False,), (True,)]
    array.dtype.names = ("x", "y")
    assert over_the_wire(array).mask.tolist() == [(True, False), (False, True)]


@pytest.mark.parametrize("dtype", ["U2", "S1", "i1", "M8[s]", "i8", "c8", "?"])
def test_masked_arrays_whose_default_fill_value_somebody_has_looked_at(dtype):
    """NumPy makes it then, and keeps it though an element of the dtype cannot hold it."""
    array = np.ma.MaskedArray(np.zeros(2, dtype), mask=[True, False])
    array.filled()
    expected, found = array.fill_value, over_the_wire(array).fill_value
    assert repr(found) == repr(expected)
    assert over_the_wire(array).filled().tobytes() == array.filled().tobytes()


@pytest.mark.parametrize("dtype", string_dtypes()[:4], ids=str)
def test_masked_strings_with_a_fill_value_that_ends_in_a_zero_byte(dtype):
    array = np.ma.MaskedArray(np.array(["a", "b"], dtype), mask=[True, False])
    try:
        array.fill_value = "none\x00"
    except TypeError:
        pytest.skip("this NumPy takes none for such strings")
    assert over_the_wire(array).fill_value == "none\x00"


@pytest.mark.skipif(not HAS_STRING_DTYPE, reason="needs NumPy 2")
def test_masked_strings_whose_fill_value_is_a_missing_one():
    array = np.ma.MaskedArray(np.array(["a", "b"], np.dtypes.StringDType(na_object=np.nan)), mask=[True, False])
    array.fill_value = np.nan
    assert np.isnan(over_the_wire(array).fill_value)


def test_a_mask_keeps_its_hardness_and_its_absence():
    bare = over_the_wire(np.ma.MaskedArray([1, 2]))
    assert np.ma.getmask(bare) is np.ma.nomask
    hard = over_the_wire(np.ma.MaskedArray([1, 2], mask=[0, 1], hard_mask=True, fill_value=7))
    assert hard.hardmask
    assert hard.filled().tolist() == [1, 7]


class Image(np.ndarray):
    """A subclass with something of its own."""

    exposure = 0.1


def test_subclasses_of_ndarray_arrive_as_plain_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "mapped", "f4", "w+", shape=(3,))
    records = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    for array in (mapped, records, np.zeros((2, 3)).view(Image)):
        for arrived in (over_the_wire(array), over_the_wire([array])[0]):
            assert type(arrived) is np.ndarray
            assert arrived.dtype == array.dtype
            assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("array", "order"),
    [
        (np.zeros((4, 6)), "C"),
        (np.zeros((4, 6)).T, "F"),
        (np.zeros((4, 6))[::2, ::3], "C"),
        (np.zeros((4, 6)).T[::3, ::2], "F"),
        (np.zeros((4, 6), order="F")[::-1], "F"),
        (np.zeros((4, 6, 8)).transpose(1, 0, 2), "C"),
        (np.broadcast_to(np.zeros(6), (4, 6)), "C"),
        (np.broadcast_to(np.zeros((4, 1)), (4, 6)), "C"),
    ],
)
def test_memory_order(array, order):
    arrived = over_the_wire(array)
    assert arrived.flags.c_contiguous == (order == "C")
    assert arrived.flags.f_contiguous == (order == "F")


def test_the_comparison_sees_what_equality_does_not():
    nan = np.array([0x7FF8000000000001], "u8").view("f8")
    aligned = np.zeros(1, np.dtype([("a", "i4")], align=True))
    for sent, arrived in [
        ((1,), [1]),
        (True, 1),
        (1, 1.0),
        (np.float64(1), 1.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (nan, np.array([np.nan])),
        (float("nan"), -float("nan")),
        (np.zeros(2, "<i4"), np.zeros(2, ">i4")),
        (np.zeros((2, 2)), np.zeros((2, 2), order="F")),
        (np.zeros((2, 2)), np.zeros((2, 1))),
        (aligned, np.zeros(1, [("a", "i4")])),
        (np.str_("a\x00"), np.str_("a")),
        (datetime(2024, 1, 1), datetime(2024, 1, 1, fold=1)),
        (np.ma.MaskedArray([1]), np.ma.MaskedArray([1], mask=[False])),
        (np.ma.MaskedArray([1], fill_value=3), np.ma.MaskedArray([1])),
        (np.zeros(1, {"names": ["a"], "formats": ["i4"], "titles": ["t"]}), np.zeros(1, [("a", "i4")])),
    ]:
        assert not same(sent, arrived), (sent, arrived)
        assert same(sent, sent)


@pytest.mark.parametrize(
    ("wrap", "depth"),
    [
        (lambda inner: [inner], 64),
        (lambda inner: {"a": inner}, 64),
        (lambda inner: (inner,), 32),  # a tuple is two containers of msgpack
    ],
    ids=["list", "dict", "tuple"],
)
def test_nests_as_deep_as_the_limit(wrap, depth):
    assert_round_trip(functools.reduce(lambda inner, _: wrap(inner), range(depth), 1))
