"""Limits bind both sides alike: the sender hears first, and nothing that it may send is refused on arrival."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tracemalloc

import numpy as np
import pytest
from dtype_strategies import HAS_STRING_DTYPE, string_dtypes
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import payloads

import nptransport as npt


def nested(depth):
    return functools.reduce(lambda inner, _: [inner], range(depth), 1)


def nested_dtype(depth):
    return functools.reduce(lambda inner, _: np.dtype([("a", inner)]), range(depth), np.dtype("i4"))


def fields(count):
    return [(f"f{i}", "i1") for i in range(count)]


def encode_or_refusal(payload, limits=npt.Limits()):  # noqa: B008
    """The frames and None, or None and the text of the refusal."""
    try:
        return npt.encode(payload, limits=limits), None
    except npt.EncodeError as error:
        return None, str(error)


def size(payload):
    return sum(memoryview(frame).nbytes for frame in npt.encode(payload))


def metadata_size(payload):
    return len(npt.encode(payload)[0])


ARRAYS = [np.zeros(1)] * 5

# For each bound: a payload that holds exactly so much of it.
AT_THE_LIMIT = [
    ("max_total_bytes", size(np.zeros(100)), np.zeros(100)),
    ("max_total_bytes", size(["x" * 5000, b"x" * 5000]), ["x" * 5000, b"x" * 5000]),
    ("max_metadata_bytes", metadata_size({"a": "x" * 900}), {"a": "x" * 900}),
    ("max_metadata_bytes", metadata_size(np.zeros(1, fields(30))), np.zeros(1, fields(30))),
    ("max_metadata_bytes", metadata_size([2**5000]), [2**5000]),
    ("max_parts", 5, ARRAYS),
    ("max_parts", 2, np.ma.MaskedArray([1], mask=[0])),
    ("max_parts", 2, ["x" * 5000, b"x" * 5000]),
    ("max_items", 50, [0] * 50),
    ("max_items", 50, {i: i for i in range(25)}),
    ("max_items", 50, [[0] * 24, [0] * 24]),
    ("max_items", 50, np.zeros(50, "V0")),
    ("max_nesting", 10, nested(10)),
    ("max_fields", 10, np.zeros(1, fields(10))),
    ("max_fields", 9, np.zeros(1, [("a", fields(3)), ("b", fields(4))])),
    ("max_fields", 10, np.zeros(1, fields(10))[0]),
    ("max_dimensions", 4, np.zeros((1, 1, 1, 1))),
    ("max_dimensions", 5, np.zeros(1, [("a", "i4", (1, 1, 1, 1))])),
    ("max_dimensions", 4, np.zeros(1, [("a", [("b", "i4", (1, 1))], (1, 1))])[0]),
]


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20), (2**58,)])
def test_what_is_too_large_is_not_copied_first(shape):
    """Nobody has so much memory: a copy would be a MemoryError, or worse."""
    for element in (np.uint8(0), *(np.array("", dtype) for dtype in string_dtypes()[:1])):
        _, text = encode_or_refusal([np.broadcast_to(element, shape)])
        assert "max_total_bytes" in text


def test_nor_is_what_is_too_large_together():
    array = np.broadcast_to(np.uint8(0), (9_000_000,))
    tracemalloc.start()
    try:
        _, text = encode_or_refusal([array] * 20, npt.Limits(max_total_bytes=10_000_000))
        assert "max_total_bytes" in text
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("limit", "needed", "payload"), AT_THE_LIMIT, ids=lambda value: str(value)[:30])
def test_each_limit_is_inclusive_and_holds_on_both_sides(limit, needed, payload):
    enough = npt.Limits(**{limit: needed})
    too_few = npt.Limits(**{limit: needed - 1})
    frames = npt.encode(payload, limits=enough)
    npt.decode(frames, limits=enough)
    npt.loads(npt.dumps(payload, limits=enough), limits=enough)
    with pytest.raises(npt.EncodeError, match=f"Limits.*{limit}"):
        npt.encode(payload, limits=too_few)
    for refuse in (lambda: npt.decode(frames, limits=too_few), lambda: npt.loads(npt.dumps(payload), limits=too_few)):
        with pytest.raises(npt.LimitExceeded) as caught:
            refuse()
        assert caught.value.limit == limit
        assert caught.value.allowed == needed - 1
        assert f"Limits({limit}=...)" in str(caught.value)


def test_the_tables_above_leave_out_no_limit():
    assert {limit for limit, _, _ in AT_THE_LIMIT} == {field.name for field in dataclasses.fields(npt.Limits)}


@pytest.mark.parametrize("depth", [1, 5, 12, 20, 21, 22, 40, 63, 64])
def test_structured_dtypes_that_may_leave_may_arrive(depth):
    array = np.zeros(2, nested_dtype(depth))
    frames, refusal = encode_or_refusal(array)
    if frames is None:
        assert "max_nesting" in refusal
    else:
        assert npt.decode(frames).dtype == array.dtype


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2000])
@pytest.mark.parametrize("dimensions", [0, 1, 2, 4])
def test_as_many_arrays_as_may_leave_may_arrive(count, dimensions):
    payload = [np.zeros((1,) * dimensions)] * count
    frames, refusal = encode_or_refusal(payload)
    if frames is None:
        assert "max_parts" in refusal or "max_items" in refusal
    else:
        assert len(npt.decode(frames)) == count


@st.composite
def tight_limits(draw):
    return npt.Limits(
        max_total_bytes=draw(st.integers(50, 2000)),
        max_metadata_bytes=draw(st.integers(50, 500)),
        max_parts=draw(st.integers(1, 4)),
        max_items=draw(st.integers(1, 60)),
        max_nesting=draw(st.integers(1, 12)),
        max_fields=draw(st.integers(1, 6)),
        max_dimensions=draw(st.integers(1, 4)),
    )


@settings(max_examples=500)
@given(payloads(max_leaves=4), tight_limits())
def test_whatever_may_leave_may_arrive(payload, limits):
    frames, _ = encode_or_refusal(payload, limits)
    if frames is not None:
        npt.decode(frames, limits=limits)
        npt.loads(npt.dumps(payload, limits=limits), limits=limits)


@given(payloads(max_leaves=4), tight_limits())
def test_what_exceeds_a_limit_on_arrival_is_no_other_error(payload, limits):
    frames = npt.encode(payload)
    with contextlib.suppress(npt.LimitExceeded):
        npt.decode(frames, limits=limits)


def test_a_payload_that_shares_its_lists_is_measured_before_it_is_unfolded():
    payload = []
    for _ in range(18):  # 2 to the 18th lists, once unfolded
        payload = [payload, payload]
    tracemalloc.start()
    try:
        with pytest.raises(npt.EncodeError, match="max_items"):
            npt.encode(payload)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_strings_cost_a_bounded_multiple_of_their_part():
    dtypes = pytest.importorskip("numpy.dtypes")
    if not hasattr(dtypes, "StringDType"):
        pytest.skip("needs NumPy 2")
    frames = npt.encode(np.full(20_000, "ab", dtypes.StringDType()))
    tracemalloc.start()
    try:
        npt.decode(frames)
        assert tracemalloc.get_traced_memory()[1] < 16 * len(frames[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(npt.Limits)])
@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True])
def test_limits_are_whole_numbers_of_at_least_one(field, value):
    with pytest.raises(ValueError, match=f"Limits.{field}="):
        npt.Limits(**{field: value})


@pytest.mark.skipif(not HAS_STRING_DTYPE, reason="needs NumPy 2")
def test_strings_count_as_what_they_take_on_the_wire():
    """Which is half of what NumPy takes for short ones."""
    array = np.array(["a"] * 100, np.dtypes.StringDType())
    frames, text = encode_or_refusal(array, npt.Limits(max_total_bytes=1000))
    assert text is None
    assert sum(map(len, frames)) <= 1000 < array.nbytes


def test_limits_show_what_differs_from_the_defaults():
    assert repr(npt.Limits()) == "Limits()"
    assert repr(npt.Limits(max_parts=8, max_items=2**14, max_nesting=3)) == "Limits(max_parts=8, max_nesting=3)"
