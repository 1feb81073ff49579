"""The invariant of test_codec_hostile.py, searched: no frames and no blob make anything but a value or a DecodeError.

Random bytes seldom get past the first check, so most of these start from a valid message and damage it: in its bytes,
in the order of its parts, or by grafting other msgpack values into it where the format has its own.
"""

from __future__ import annotations

import struct

import msgpack
import numpy as np
from dtype_strategies import every_dtype
from hostile import HEAD, Pairs, check_error, metadata, pack, part, survive, tagged, touch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import payloads

import nptransport as npt

SMALL = npt.Limits(max_total_bytes=2**20, max_items=500, max_nesting=20, max_fields=50)


@given(st.lists(st.binary(max_size=100), max_size=4))
def test_random_bytes(frames):
    survive(frames)


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_random_bytes_behind_a_valid_head(body, buffer):
    survive([b"\x82" + HEAD + pack("parts") + body, buffer])
    survive([metadata([], tree=body)])


@st.composite
def damaged(draw, data):
    """Bytes with a few of them changed, cut off, put in or doubled."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["flip", "set", "cut", "insert", "remove", "double"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if data:
                data[at] = draw(st.sampled_from([0x00, 0x7F, 0x80, 0x90, 0xC0, 0xC1, 0xC7, 0xD4, 0xDD, 0xDF, 0xFF]))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
            case "remove":
                del data[at : at + draw(st.integers(1, 8))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 16))]
    return bytes(data)


@settings(max_examples=500)
@given(st.data(), payloads(max_leaves=4))
def test_damaged_messages(data, payload):
    frames = [bytes(frame) for frame in npt.encode(payload)]
    which = data.draw(st.integers(0, len(frames) - 1))
    frames[which] = data.draw(damaged(frames[which]))
    survive(frames)
    survive(frames, limits=SMALL)


@given(st.data(), payloads(max_leaves=4))
def test_damaged_blobs(data, payload):
    blob = data.draw(damaged(npt.dumps(payload)))
    try:
        value = npt.loads(blob)
    except npt.DecodeError as error:
        check_error(error)
    else:
        touch(value, [np.frombuffer(blob, "u1")], npt.Limits().max_items)


@given(st.data(), st.lists(payloads(max_leaves=3), min_size=1, max_size=2))
def test_parts_in_another_order_or_of_another_message(data, messages):
    frames = [bytes(frame) for message in messages for frame in npt.encode(message)]
    some = st.lists(st.integers(0, len(frames) - 1), max_size=6)
    for chosen in (data.draw(some), data.draw(st.permutations(range(len(frames))))):
        survive([frames[index] for index in chosen])


# Values that the format uses, and wrong ones beside them, to stand in any place.
_WORDS = st.sampled_from(
    ["<f8", ">i2", "|b1", "<U2", "|S0", "|V3", "<M8[s]", "bfloat16", "C", "F", "bytes", "text", "utf-8", "nil", ""]
)
_NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 8, 16, 64, -1, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
_KEYS = st.sampled_from(
    ["npt", "parts", "tree", "envelope", "string", "coerce", "missing", "itemsize", "fields", "aligned", "names"]
)
_EXTENSIONS = st.one_of(
    st.integers(0, 4).map(part),
    st.builds(msgpack.ExtType, st.integers(0, 3), st.sampled_from([b"", b"t", b"i", b"d", b"s", b"m", bytes(4)])),
)
_ATOMS = st.one_of(
    st.none(), st.booleans(), st.floats(), _WORDS, _NUMBERS, st.binary(max_size=9), st.text(max_size=3), _EXTENSIONS
)
VALUES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(st.tuples(st.one_of(_KEYS, inner), inner), max_size=4).map(Pairs),
        st.tuples(st.sampled_from("tidsm"), inner).map(lambda pair: tagged(*pair)),
    ),
    max_leaves=20,
)
_PARTS = st.lists(st.binary(max_size=32), max_size=4)


def grafted(value, other, path):
    """``value`` with ``other`` in the place that ``path``, a list of numbers, leads to."""
    if not path or not isinstance(value, (list, dict)) or not value:
        return other
    pairs = isinstance(value, dict)
    items = [list(pair) for pair in value.items()] if pairs else list(value)
    at = path[0] % len(items)
    if pairs:
        items[at][1] = grafted(items[at][1], other, path[1:])
        return dict(map(tuple, items))
    items[at] = grafted(items[at], other, path[1:])
    return items


_PATHS = st.lists(st.integers(0, 7), min_size=1, max_size=5)
LAYOUTS = [msgpack.unpackb(npt.encode(np.zeros((2, 1), dtype))[0])["parts"][0] for dtype in every_dtype()]


@settings(max_examples=500)
@given(st.sampled_from(LAYOUTS), _PATHS, VALUES, st.integers(0, 200))
def test_a_layout_with_another_value_in_one_place(layout, path, value, length):
    changed = grafted(layout, value, path)
    survive([metadata([changed]), bytes(length)])
    survive([metadata([["|V2", [4]], changed], tree=pack([part(0), part(1)])), bytes(8), bytes(length)])


@given(st.sampled_from(["parts", "tree", "envelope", "later"]), VALUES, _PARTS)
def test_an_entry_of_the_metadata_with_another_value(key, value, parts):
    survive([metadata(**{"parts": [["|i1", [3]]], key: value}), *parts])


@settings(max_examples=300)
@given(VALUES, _PARTS)
def test_a_tree_of_other_values(value, parts):
    layouts = [["|i1", [len(part)]] for part in parts]
    survive([metadata(layouts, tree=pack(value)), *parts])


@settings(max_examples=300)
@given(st.sampled_from("tidsm"), st.lists(VALUES, max_size=5))
def test_a_tag_over_other_values(letter, values):
    layouts = [["|b1", [2]], ["<f8", []]]
    survive([metadata(layouts, tree=pack(tagged(letter, values))), b"\x00\x01", bytes(8)])


@given(st.lists(st.integers(0, 2**64 - 1), max_size=4), st.integers(0, 2**32 - 1), st.binary(max_size=300))
def test_blobs_with_any_header(lengths, count, rest):
    for claimed in (count, len(lengths)):
        blob = b"\x89NPT\r\n\x1a\n" + struct.pack(f"<II{len(lengths)}Q", claimed, 0, *lengths) + rest
        try:
            npt.loads(blob)
        except npt.DecodeError as error:
            check_error(error)
