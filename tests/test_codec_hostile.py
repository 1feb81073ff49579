"""Malformed input, layouts and elements. The invariant that these tests prove:

Whatever the frames are, decode gives a value or raises DecodeError. It keeps within Limits, in memory and in time.
No array that comes out reaches outside its part, nor holds an element that fails when somebody looks at it later.

Each trap below was seen to break a decoder that trusts its peer. test_codec_hostile_messages.py has those around the
layouts, and test_codec_fuzz.py looks for the ones nobody knows.
"""

from __future__ import annotations

import numpy as np
import pytest
from children import run_python
from dtype_strategies import HAS_STRING_DTYPE
from hostile import metadata, part, refusal, survive, tagged, tree

EIGHT = bytes(8)


def structure(itemsize, *fields, **more):
    return {"itemsize": itemsize, "fields": list(fields), **more}


@pytest.mark.parametrize(
    "text",
    [
        "(2147483647,)i1,(2147483647,)i1,i4",  # NumPy's own parser: itemsize 2, and frombuffer reads past the part
        "i4,i4", "2i4", "(2,)<i4", "<f8,", " <f8", "<f8 ", "<f8\n", "",
        "f8", "=f8", "|f8", "@f8", "float64", "double", "d", "<d", "<f", "<f3", "<f08", "<F8",
        "O", "|O", "|O8", "object", "<O8", "P", "c", "|c1", "?", "|b2", "<b1", "|i2", ">i1", ">u1", "<i16",
        "<f16", "<f12", "<c32", "<f16:", "<f16:x86", "<f99:x87", "g",
        "S", "S3", "<S3", "|S", "|S-1", "|S01", "|S 1", "|S٣", "|S1٣", "|U3", "U3", "<U", "<U01", "a3", "|a3",
        "|S2147483648", "|V2147483648", "|V9999999999", "<U536870912", "<U999999999", "|S99999999999999999999",
        "|M8[s]", "M8[s]", "<M8[]", "<M8[x]", "<M8[0s]", "<M8[01s]", "<M8[-1s]", "<M8[1s]", "<M8[generic]", "<M8[μs]",
        "<M8[s]x", "<M8[s/2]", "<M8[2147483648s]", "<M8[9999999999s]", "<m8[Y/3]", "<m4", "<M16[s]", "datetime64[s]",
        "bfloat", "Bfloat16", "bfloat16 ", "ml_dtypes.bfloat16", "<bfloat16", "__doc__", "finfo", "<V2", "T", "|T16",
        "\x00", "<f8\x00", "x" * 100_000,
    ],
    ids=lambda text: repr(text)[:40],
)  # fmt: skip
def test_a_dtype_is_only_what_the_format_lists(text):
    assert "dtype" in str(refusal([metadata([[text, [0]]]), b""]))
    assert "dtype" in str(refusal([metadata([[structure(8, ["a", text, 0]), [0]]]), b""]))
    assert "dtype" in str(refusal([tree(tagged("s", [text, b""]))]))


@pytest.mark.parametrize("dtype", [None, True, 8, 8.0, b"<f8", [], ["<f8"], ["<f8", [2]], [["a", "<f8", 0]], {}])
def test_a_dtype_is_a_text_or_a_map(dtype):
    assert "dtype" in str(refusal([metadata([[dtype, [1]]]), EIGHT]))


@pytest.mark.parametrize(
    "dtype",
    [
        structure(2, ["a", "|i1", 0, [2147483647]], ["b", "|i1", 0, [2147483647]]),
        structure(4, ["a", "|i1", 0, [65536, 65536]]),
        structure(4, ["a", "<i4", 0, [2**62, 4]]),
        structure(4, ["a", structure(2**31 - 1, ["b", "|V2147483647", 0]), 0, [2]]),
        structure(4, ["a", "|V2147483647", 0], ["b", "<i4", 2147483647]),
        structure(4, ["a", "<i4", 1]),
        structure(4, ["a", "<i4", -1]),
        structure(4, ["a", "<i4", 2**31]),
        structure(4, ["a", "<i4", -(2**31)]),
        structure(4, ["a", "<i4", 0, [2]]),
        structure(4, ["a", "<i4", 0, [-1]]),
        structure(4, ["a", "<i4", 0, [True]]),
        structure(4, ["a", "<i4", 0, [1.0]]),
        structure(4, ["a", "<i4", 0, None]),
        structure(4, ["a", "<i4", 0, 1]),
        structure(4, ["a", "<i4", 0, [], 1]),
        structure(4, ["a", "<i4", 0, [], b"title"]),
        structure(4, ["a", "<i4", 0, [], None, 1]),
        structure(4, ["a", "<i4", 0, [], "a"]),
        structure(4, ["a", "<i4", True]),
        structure(4, ["a", "<i4", None]),
        structure(4, ["a", "<i4"]),
        structure(4, ["a", None, 0]),
        structure(4, ["a", {"string": "utf-8"}, 0]),
        structure(4, [1, "<i4", 0]),
        structure(4, [None, "<i4", 0]),
        structure(4, [["title", "a"], "<i4", 0]),
        structure(4, "abc"),
        structure(4, {"a": 1, "b": 2, "c": 3}),
        structure(4, ["a", "<i2", 0], ["a", "<i2", 2]),
        structure(4, ["a", "<i2", 0, [], "t"], ["b", "<i2", 2, [], "t"]),
        structure(4, ["a", "<i2", 0, [], "b"], ["b", "<i2", 2]),
        structure(8, ["a", "|i1", 0], ["b", "<i4", 1], aligned=True),
        structure(7, ["a", "<i4", 0], aligned=True),
        structure(4, ["a", "<i4", 0], aligned="yes"),
        structure(4, ["a", "<i4", 0], aligned=1),
        structure(4, ["a", "<i4", 0], aligned=[]),
        structure(True, ["a", "|i1", 0]),
        structure(None, ["a", "|i1", 0]),
        structure(-4, ["a", "<i4", 0]),
        structure(2**31, ["a", "<i4", 0]),
        structure(2**64 - 1, ["a", "<i4", 0]),
        {"itemsize": 4},
        {"fields": []},
        {"itemsize": 4, "fields": {"a": "<i4"}},
        {"itemsize": 4, "fields": None},
        {"names": ["a"], "formats": ["<i4"]},
    ],
    ids=lambda dtype: repr(dtype)[:60],
)
def test_a_structure_lies_within_its_itemsize(dtype):
    refusal([metadata([[dtype, [0]]]), b""])
    refusal([metadata([[dtype, [1]]]), bytes(4)])
    refusal([tree(tagged("s", [dtype, bytes(4)]))])


@pytest.mark.parametrize(
    "dtype",
    [
        structure(4, ["a", "<i4", 0], ["b", "<i2", 1], ["c", "<i2", 2]),
        structure(4, ["", "<i2", 0], ["a", "<i2", 2]),
        structure(4, ["a\0b", "<i4", 0]),
    ],
    ids=["overlapping", "empty", "zero"],
)
def test_fields_that_overlap_and_names_that_are_empty(dtype):
    """NumPy has such, and so they may come; each field lies within for itself."""
    assert survive([metadata([[dtype, [2]]]), bytes(8)]).dtype.names == tuple(field[0] for field in dtype["fields"])


@pytest.mark.parametrize(
    "inner",
    [
        structure(0, aligned=True),
        structure(8, aligned=True),
        structure(0, ["b", structure(0, aligned=True), 0]),
        structure(4, ["b", structure(0, aligned=True), 0], ["c", "<i4", 0]),
    ],
    ids=str,
)
def test_an_aligned_structure_without_fields_does_not_end_the_process(inner):
    # NumPy 1 gives it an alignment of 0, and dies of a division where it is a field of another aligned one.
    size = inner["itemsize"]
    frames = [metadata([[structure(size, ["a", inner, 0], aligned=True), [0]]]), b""]
    program = f"""
import nptransport as npt
try:
    npt.decode({frames!r})
except npt.DecodeError:
    pass
"""
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "shape", [[-1], [1, -1], [True], [1.0], ["1"], [None], [[1]], [2**63], [2**64 - 1], None, 1, "1", b"\x01", {}]
)
@pytest.mark.parametrize("dtype", ["<f8", "|V0", {"string": "utf-8"}], ids=str)
def test_a_shape_is_a_list_of_whole_numbers_from_0(dtype, shape):
    assert "shape" in str(refusal([metadata([[dtype, shape]]), EIGHT]))


@pytest.mark.parametrize(
    ("dtype", "shape", "length"),
    [
        ("<f8", [1], 7),
        ("<f8", [1], 9),
        ("<f8", [1], 0),
        ("<f8", [1], 16),
        ("<f8", [0], 8),
        ("<f8", [], 0),
        ("|V0", [1], 1),
        ("<f8", [2**61], 0),  # 2**64 bytes: 0 for whoever counts in 64 bits
        ("<f8", [2**32, 2**32], 0),
        ("<f8", [2**61, 8], 8),
        ("|i1", [2**63 - 1, 2], 8),
        ("|V2147483647", [2**40], 8),
    ],
)
def test_a_part_is_as_long_as_its_layout_says(dtype, shape, length):
    refusal([metadata([[dtype, shape]]), bytes(length)])
    refusal([tree([part(0)], [dtype, shape]), bytes(length)])


@pytest.mark.parametrize("shape", [[0, 2**62], [2**62, 0], [0, 2**62, 4], [2**40, 2**40, 0], [0, 2**63 - 1]], ids=str)
@pytest.mark.parametrize("dtype", ["<f8", "|V0", structure(8), {"string": "utf-8"}], ids=str)
def test_an_empty_array_may_claim_lengths_that_only_numpy_can_judge(dtype, shape):
    survive([metadata([[dtype, shape]]), b""])


@pytest.mark.parametrize("dtype", ["|V0", "|S0", "<U0", structure(0), structure(0, ["a", "|V0", 0])], ids=str)
def test_elements_of_no_bytes_are_counted(dtype):
    assert refusal([metadata([[dtype, [2**14 + 1]]]), b""]).limit == "max_items"
    assert refusal([metadata([[dtype, [2**31, 2**31]]]), b""]).limit == "max_items"
    assert survive([metadata([[dtype, [2**14]]]), b""]).shape == (2**14,)


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (31, 32), (32, 32), (32, 33), (64, 1), (1, 64), (64, 64)])
@pytest.mark.parametrize("dtype", ["<f8", "|b1"])
def test_dimensions_of_a_sub_array_add_to_those_of_the_array(dtype, outer, inner):
    # NumPy makes such an array with more than 64 in all, and fails once somebody asks for the field.
    size = np.dtype(dtype).itemsize
    field = ["a", dtype, 0, [1] * inner]
    survive([metadata([[structure(size, field), [1] * outer]]), bytes(size)])
    survive([metadata([[structure(size, ["b", structure(size, field), 0, [1] * outer]), [1]]]), bytes(size)])
    survive([tree(tagged("s", [structure(size, ["b", structure(size, field), 0, [1] * outer]), bytes(size)]))])


@pytest.mark.parametrize("order", ["A", "K", "c", "", None, 1, b"F", ["F"]])
def test_an_order_is_c_or_f(order):
    assert "order" in str(refusal([metadata([["<f8", [1], order]]), EIGHT]))


@pytest.mark.parametrize("layout", [None, 1, "bytes", [], ["<f8"], ["raw"], [["bytes"]], {}, ["<f8", [1], "C", 1]])
def test_a_layout_is_one_of_the_five(layout):
    assert "layout" in str(refusal([metadata([layout]), EIGHT]))


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("|b1", b"\x02"),
        ("|b1", b"\xff"),
        (structure(3, ["a", "<i2", 0], ["b", "|b1", 2]), b"\x02\x02\x02"),
        (structure(3, ["a", structure(2, ["b", "|b1", 1]), 1]), b"\x02\x02\x02"),
        (structure(4, ["a", "|b1", 0, [2, 2]]), b"\x00\x01\x00\x02"),
        ("<U1", b"\x00\x00\x11\x00"),
        ("<U1", b"\xff\xff\xff\xff"),
        ("<U1", b"\x00\x00\x00\x80"),
        (">U1", b"\x00\x11\x00\x00"),
        ("<U2", b"a\x00\x00\x00\x00\x00\x00\x01"),
        (structure(7, ["a", "|i1", 0], ["b", "<U1", 3]), b"\x00\x00\x00\x00\x00\x11\x00"),
        (structure(8, ["a", ">U1", 0, [2]]), b"\x00\x00\x00a\x00\x11\x00\x00"),
    ],
    ids=str,
)
def test_an_element_whose_bytes_mean_nothing(dtype, data):
    assert "element" in str(refusal([metadata([[dtype, [1]]]), data]))
    assert "element" in str(refusal([metadata([[dtype, [1], "F"]]), data]))
    assert "element" in str(refusal([tree(tagged("s", [dtype, data]))]))
    assert "element" in str(refusal([tree({"a": part(0)}, [dtype, [1]]), data]))


def test_every_part_is_checked_not_only_the_first_of_its_layout():
    head = metadata([["|b1", [2]]])
    assert survive([head, b"\x00\x01"]).tolist() == [False, True]
    assert "bool element" in str(refusal([head, b"\x00\x02"]))
    assert "part" in str(refusal([head, b"\x00"]))


@pytest.mark.skipif(not HAS_STRING_DTYPE, reason="needs NumPy 2")
@pytest.mark.parametrize(
    ("dtype", "count", "data"),
    [
        ({"string": "utf-16"}, 0, b""),
        ({"string": None}, 0, b""),
        ({"string": "utf-8", "coerce": 1}, 0, b""),
        ({"string": "utf-8", "coerce": None}, 0, b""),
        ({"string": "utf-8", "missing": 1}, 0, b""),
        ({"string": "utf-8", "missing": 1.5}, 0, b""),
        ({"string": "utf-8", "missing": b"x"}, 0, b""),
        ({"string": "utf-8", "missing": []}, 0, b""),
        ({"string": "utf-8"}, 1, b""),
        ({"string": "utf-8"}, 2**60, bytes(8)),
        ({"string": "utf-8"}, 2**63 - 1, bytes(8)),
        ({"string": "utf-8"}, 0, b"x"),
        ({"string": "utf-8"}, 1, (-1).to_bytes(8, "little", signed=True)),
        ({"string": "utf-8", "missing": None}, 1, (-2).to_bytes(8, "little", signed=True)),
        ({"string": "utf-8"}, 1, (1).to_bytes(8, "little")),
        ({"string": "utf-8"}, 1, (2**62).to_bytes(8, "little") + b"x"),
        ({"string": "utf-8"}, 1, (1).to_bytes(8, "little") + b"xy"),
        ({"string": "utf-8"}, 1, (1).to_bytes(8, "little") + b"\xff"),
        ({"string": "utf-8"}, 1, (3).to_bytes(8, "little") + b"\xed\xa0\x80"),
        ({"string": "utf-8"}, 2, (1).to_bytes(8, "little") * 2 + "é".encode()),
    ],
    ids=repr,
)
def test_strings(dtype, count, data):
    assert "string" in str(refusal([metadata([[dtype, [count]]]), data]))
