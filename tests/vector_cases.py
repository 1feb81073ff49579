"""What the vectors hold, for make_vectors.py. Every byte order is spelled out: they are the same on any machine."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import ml_dtypes
import numpy as np
from hostile import HEAD, Pairs, metadata, pack, part, tag, tagged, tree

import nptransport as npt
from nptransport.codec.framing import join_frames

COUNTING = np.arange(6, dtype="<i2").reshape(2, 3)
NESTED = [("a", "|b1"), ("inner", [("x", "<f4"), ("y", ">i2", (2,))])]
OVERLAPPING = {"names": ["b", ""], "formats": ["<i4", "<i2"], "offsets": [4, 6], "titles": ["T", None]}


def of_strings(values: Any, **options: Any) -> np.ndarray[Any, Any]:
    """Nothing before NumPy 2, where no vector of them can be read either."""
    kind = getattr(np.dtypes, "StringDType", None)
    return np.empty(0) if kind is None else np.array(values, kind(**options))


def of_bytes(data: str, dtype: Any) -> np.ndarray[Any, Any]:
    """For dtypes with bytes that mean nothing: NumPy leaves in them whatever stood there before."""
    return np.frombuffer(bytes.fromhex(data), dtype)


MESSAGES: dict[str, Any] = {
    "array-c": ("an array in C order", COUNTING),
    "array-fortran": ("an array in Fortran order: the same elements, other bytes", np.asfortranarray(COUNTING)),
    "array-0d": ("an array without dimensions", np.array(1.5, "<f8")),
    "array-empty": ("an array without elements, in spite of its lengths", np.zeros((2, 0, 3), "<f4")),
    "array-4d": ("four dimensions", np.arange(16, dtype="|u1").reshape(2, 2, 2, 2)),
    "dtype-bool": ("booleans", np.array([True, False])),
    "dtype-int8": ("integers of one byte", np.array([-128, 127], "|i1")),
    "dtype-uint64": ("the largest integers", np.array([0, 2**64 - 1], "<u8")),
    "dtype-int64-big-endian": ("big-endian integers", np.array([-1, 2**40], ">i8")),
    "dtype-float16": ("floats of two bytes", np.array([1.5, -np.inf], "<f2")),
    "dtype-float32": ("floats of four bytes", np.array([0.1, np.nan], "<f4")),
    "dtype-float64-big-endian": ("big-endian floats", np.array([-0.0, 1e300], ">f8")),
    "dtype-complex64": ("complex numbers", np.array([1 - 2j], "<c8")),
    "dtype-complex128-big-endian": ("big-endian complex numbers", np.array([0.5j], ">c16")),
    "dtype-longdouble-x87": (
        "C's long double of x86",
        of_bytes("00000000000000c0ff3f000000000000", np.longdouble),
        "x87",
    ),
    "dtype-datetime64": ("times with a unit, and none (NaT)", np.array(["2024-02-29", "NaT"], "<M8[D]")),
    "dtype-datetime64-multiple": ("times in multiples of a unit", np.array([3], "<i8").view("<M8[25us]")),
    "dtype-timedelta64": ("durations, big-endian", np.array([-5], ">m8[ns]")),
    "dtype-timedelta64-generic": ("durations without a unit", np.array([7], "<i8").view("<m8")),
    "dtype-bytes": ("byte strings of one length, filled with zeros", np.array([b"abc", b"", b"a\x00b"], "|S3")),
    "dtype-text": ("texts of one length, filled with zeros", np.array(["é", "", "\U0001f600b"], "<U2")),
    "dtype-text-big-endian": ("big-endian texts", np.array(["é"], ">U2")),
    "dtype-void": ("opaque bytes", np.array([b"ab\x00"], "|V3")),
    "dtype-void-of-0": ("elements of no bytes", np.zeros(3, "|V0")),
    "dtype-bfloat16": ("bfloat16 of ml_dtypes", np.array([1, -2], ml_dtypes.bfloat16), "ml_dtypes"),
    "dtype-bfloat16-big": (
        "bfloat16 of ml_dtypes, big-endian",
        np.array([1, -2], np.dtype(ml_dtypes.bfloat16).newbyteorder(">")),
        "ml_dtypes",
    ),
    "dtype-int4": ("int4 of ml_dtypes, one byte each", np.array([1, -2], ml_dtypes.int4), "ml_dtypes"),
    "dtype-structured": ("a structure without gaps", np.array([(True, (0.5, [1, 2]))], NESTED)),
    "dtype-structured-aligned": (
        "a structure laid out as C does, with gaps",
        of_bytes("01000000000000000000000000000440", np.dtype([("a", "|i1"), ("b", "<f8")], align=True)),
    ),
    "dtype-structured-offsets": (
        "fields out of order, overlapping, with a title and an empty name",
        of_bytes("0000000001000200", OVERLAPPING),
    ),
    "dtype-structured-empty": ("a structure without fields", np.zeros(2, [])),
    "dtype-string": ("texts of variable width", of_strings([["a", ""], ["é\x00", "名前"]]), "numpy 2"),
    "dtype-string-missing": (
        "texts of which one is missing, in Fortran order",
        of_strings([["a", None], ["", "b"]], na_object=None).T,
        "numpy 2",
    ),
    "dtype-string-nan": (
        "texts of which one is NaN",
        of_strings(["a", np.nan], na_object=np.nan, coerce=False),
        "numpy 2",
    ),
    "tree-plain": ("what msgpack has of its own", [None, True, False, 1, -1, 1.5, "text", b"\x00\xff", [], {}]),
    "tree-numbers": (
        "integers of all widths, and floats that are none",
        [127, 128, 2**16, 2**32, 2**63, 2**64 - 1, -32, -33, -(2**63), float("nan"), float("-inf"), -0.0],
    ),
    "tree-big-integers": ("integers beyond 64 bits", [2**64, -(2**63) - 1, 2**200, -(2**200)]),
    "tree-tuple": ("tuples and lists are told apart", [(1, [2, (3,)]), ()]),
    "tree-keys": (
        "keys of every kind, in an order of their own",
        {"z": 1, 7: 2, b"b": 3, None: 4, 1.5: 5, (1, "t"): 6, 2**70: 7, "a": 8},
    ),
    "tree-arrays": ("arrays inside", {"left": COUNTING, "more": [COUNTING.T, (np.array(True),)]}),
    "tree-long": (
        "long texts and byte strings are buffers, also as keys",
        {"é" * 512: b"x" * 1024, "short": b"x" * 1023},
    ),
    "tree-datetimes": (
        "times without a zone, in UTC, with an offset",
        [
            datetime(2024, 2, 29, 12, 30, 15, 123456),
            datetime(2024, 1, 1, fold=1),
            datetime(2024, 1, 1, tzinfo=timezone.utc),
            datetime(1, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30, microseconds=1))),
        ],
    ),
    "tree-time-zone": (
        "the hour that comes twice",
        [datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin")) for fold in (0, 1)],
        "time zones",
    ),
    "tree-scalars": (
        "NumPy's scalars",
        [np.dtype(code).type(1) for code in ("|b1", "|i1", "|u1", "<i2", "<u4", "<i8", "<f2", "<f4", "<f8", "<c8")]
        + [np.datetime64("2024-02-29", "D"), np.array([-(2**63)], "<i8").view("<m8")[0], np.void(b"ab\x00")]
        + [np.str_("é\x00"), np.bytes_(b"a\x00"), np.array([(True, (0.5, [1, 2]))], NESTED)[0]],
    ),
    "masked": (
        "a masked array with a fill value",
        np.ma.MaskedArray(np.array([1, 2, 3], "<i4"), mask=[False, True, False], fill_value=-1),
    ),
    "masked-nothing": ("a masked array without a mask, nor a fill value", np.ma.MaskedArray(np.array([1.5], "<f8"))),
    "masked-hard": (
        "a structured one whose mask is hard",
        np.ma.MaskedArray(
            np.array([(1, 2.0)], [("a", "<i4"), ("b", "<f8")]),
            mask=[(True, False)],
            fill_value=(0, 0.5),
            hard_mask=True,
        ),
    ),
}

ARRAY = ["<i2", [3]]
THREE = b"\x01\x00\x02\x00\x03\x00"
LIST = {"array": {"dtype": "<i2", "shape": [3], "order": "C", "elements": [1, 2, 3]}}

# What readers have to take although our writer writes otherwise: frames, and what a vector says of them.
RAW: dict[str, Any] = {
    "topic": (
        "a topic before the metadata",
        [b"camera/left", metadata([ARRAY]), THREE],
        {"topic": "camera/left", "payload": LIST},
    ),
    "topic-empty": ("an empty topic", [b"", metadata([ARRAY]), THREE], {"topic": "", "payload": LIST}),
    "envelope": (
        "source, sequence and time of sending, as our endpoints write them",
        [
            b"\x83" + HEAD + pack("envelope") + b"\x93\xb00123456789abcdef\xcf" + bytes(7) + b"\x05"
            b"\xcb\x3f\xf8" + bytes(6) + pack("parts") + pack([ARRAY]),
            THREE,
        ],
        {"envelope": ["0123456789abcdef", 5, {"float": "1.5"}], "payload": LIST},
    ),
    "cut": (
        "a buffer in three parts, beside one in a part of its own",
        [
            metadata([ARRAY, ARRAY], cut=[1, 3], tree=pack([part(0), part(1)])),
            THREE,
            THREE[:1],
            THREE[1:],
            b"",
        ],
        {"payload": [LIST, LIST]},
    ),
    "joined": (
        "a message with an envelope in one part",
        [
            join_frames(
                [
                    b"\x83" + HEAD + pack("envelope") + b"\x93\xb00123456789abcdef\xcf" + bytes(7) + b"\x05"
                    b"\xcb\x3f\xf8" + bytes(6) + pack("parts") + pack([ARRAY]),
                    THREE,
                ]
            )
        ],
        {"envelope": ["0123456789abcdef", 5, {"float": "1.5"}], "payload": LIST},
    ),
    "envelope-later": (
        "an envelope in other widths, in another place, with an element of a later version",
        [metadata([ARRAY], envelope=["s", 5, 1.5, "later"]), THREE],
        {"envelope": ["s", 5, {"float": "1.5"}], "payload": LIST},
    ),
    "unknown-keys": (
        "keys of later versions are ignored",
        [metadata([ARRAY], later=[1, {"a": None}], latest=1.5), THREE],
        {"payload": LIST},
    ),
    "widths": (
        "integers, texts and arrays in wider forms than they need",
        [
            b"\x82\xa3npt\xcd\x00\x01\xda\x00\x05parts\xdd\x00\x00\x00\x01\xdc\x00\x02\xd9\x03<i2\x91\xd3"
            + bytes(7)
            + b"\x03",
            THREE,
        ],
        {"payload": LIST},
    ),
    "order-c": ("the order may be written where it is C", [metadata([["<i2", [3], "C"]]), THREE], {"payload": LIST}),
    "short-buffers": (
        "texts and byte strings may be buffers however short they are",
        [tree([part(1), part(0)], ["bytes"], ["text"]), b"\xff", "é".encode()],
        {"payload": ["é", {"bytes": "ff"}]},
    ),
}

BLOBS: dict[str, Any] = {
    "blob-array": ("one array", COUNTING),
    "blob-tree": ("arrays in a tree, the last of them empty", {"a": COUNTING, "b": (1, np.zeros((0,), "<f8"))}),
    "blob-plain": ("no array at all", {"a": [1, "text"]}),
}

_BLOB = npt.dumps(COUNTING)


def structure(itemsize: int, *fields: Any) -> list[Any]:
    return [{"itemsize": itemsize, "fields": list(fields)}, [1]]


REFUSED: dict[str, Any] = {
    "refused-no-parts": ("no parts at all", [], "frames"),
    "refused-version": ("a version to come", [b"\x82\xa3npt\x02" + metadata([ARRAY])[6:], THREE], "version"),
    "refused-version-bool": ("true is no 1", [b"\x82\xa3npt\xc3" + metadata([ARRAY])[6:], THREE], "version"),
    "refused-cut-off": ("metadata that ends early", [metadata([ARRAY])[:-1], THREE], "msgpack"),
    "refused-trailing": ("bytes behind the metadata", [metadata([ARRAY]) + b"\xc0", THREE], "msgpack"),
    "refused-equal-keys": (
        "two keys that are equal",
        [b"\x83" + HEAD + (pack("parts") + pack([ARRAY])) * 2, THREE],
        "keys that differ",
    ),
    "refused-too-few-buffers": ("a buffer is missing", [metadata([ARRAY])], "buffer parts"),
    "refused-too-many-buffers": ("a buffer that nothing describes", [metadata([ARRAY]), THREE, b""], "buffer parts"),
    "refused-cut-missing": (
        "a part of a buffer that is cut is missing",
        [metadata([ARRAY], cut=[2]), THREE],
        "parts",
    ),
    "refused-cut-zero": ("a buffer in no part", [metadata([ARRAY], cut=[0])], "at least 1"),
    "refused-cut-length": (
        "numbers of parts for more buffers",
        [metadata([ARRAY], cut=[1, 1]), THREE, THREE],
        "numbers",
    ),
    "refused-joined-more": ("something behind a blob", [join_frames([metadata([ARRAY]), THREE]), THREE], "metadata"),
    "refused-joined-behind-topic": (
        "a blob behind a topic",
        [b"left", join_frames([metadata([ARRAY]), THREE])],
        "metadata",
    ),
    "refused-joined-shared": (
        "a blob that says that its buffers lie elsewhere",
        [join_frames([metadata([ARRAY], shared=bytes(44)), THREE])],
        "shared memory",
    ),
    "refused-joined-topic": ("a topic in a blob", [join_frames([b"left", metadata([ARRAY]), THREE])], "metadata"),
    "refused-joined-twice": ("a blob in a blob", [join_frames([join_frames([metadata([ARRAY]), THREE])])], "metadata"),
    "refused-short-buffer": ("a buffer that is too short", [metadata([ARRAY]), THREE[:-1]], "bytes"),
    "refused-long-buffer": ("a buffer that is too long", [metadata([ARRAY]), THREE + b"\0"], "bytes"),
    "refused-shape-overflow": (
        "2 to the 64th bytes, which are 0 to some",
        [metadata([["<i8", [2**61]]]), b""],
        "bytes",
    ),
    "refused-shape-negative": ("a length below 0", [metadata([["<i2", [-1]]]), b"\0\0"], "shape"),
    "refused-shape-bool": ("a length that is true", [metadata([["<i2", [True]]]), b"\0\0"], "shape"),
    "refused-dtype-object": ("pointers", [metadata([["|O", [1]]]), bytes(8)], "dtype"),
    "refused-dtype-list": ("what only NumPy's parser reads", [metadata([["(2,)i1,i4", [1]]]), bytes(6)], "dtype"),
    "refused-dtype-spelling": ("a byte order left out", [metadata([["f4", [1]]]), bytes(4)], "dtype"),
    "refused-bool-2": ("a boolean of 2", [metadata([["|b1", [1]]]), b"\x02"], "bool element"),
    "refused-code-point": ("a code point above 0x10FFFF", [metadata([["<U1", [1]]]), b"\0\0\x11\0"], "text element"),
    "refused-field-outside": (
        "a field that reaches behind its structure",
        [metadata([structure(4, ["a", "<i4", 1])]), bytes(4)],
        "field",
    ),
    "refused-equal-names": (
        "two fields of one name",
        [metadata([structure(4, ["a", "<i2", 0], ["a", "<i2", 2])]), bytes(4)],
        "names that differ",
    ),
    "refused-extension": ("an extension in the metadata", [metadata([ARRAY], later=part(0)), THREE], "extension"),
    "refused-part-index": ("a buffer that is not there", [tree(part(1), ARRAY), THREE], "index below 1"),
    "refused-part-twice": ("a buffer in two places", [tree([part(0), part(0)], ARRAY), THREE], "in two"),
    "refused-part-nowhere": ("a buffer in no place", [tree([], ARRAY), THREE], "in none"),
    "refused-tag-alone": ("a tag that is no key", [tree([tag("t")])], "only key"),
    "refused-tag-beside": ("a tag beside another key", [tree(Pairs([(tag("t"), []), ("a", 1)]))], "only key"),
    "refused-tag-unknown": ("a tag that nobody knows", [tree(tagged("z", []))], "known tag"),
    "refused-string-length": (
        "a text that reaches behind its buffer",
        [metadata([[{"string": "utf-8", "coerce": True}, [1]]]), b"\x05" + bytes(7) + b"abc"],
        "string",
    ),
    "refused-utf-8": ("a text that is no UTF-8", [tree(part(0), ["text"]), b"\xff"], "UTF-8"),
}

REFUSED_BLOBS: dict[str, Any] = {
    "refused-blob-cut-off": ("a blob that ends early", _BLOB[:-1], "bytes"),
    "refused-blob-trailing": ("bytes behind a blob", _BLOB + b"\0", "bytes"),
    "refused-blob-line-ends": ("a blob whose line ends a transfer changed", _BLOB.replace(b"\r\n", b"\n"), "blob"),
}
