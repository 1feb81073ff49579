"""Malformed input, metadata and trees. test_codec_hostile.py states the invariant that these tests prove."""

from __future__ import annotations

import re
import tracemalloc

import msgpack
import numpy as np
import pytest
from hostile import HEAD, Pairs, check_error, metadata, pack, part, refusal, survive, tag, tagged, tree

import nptransport as npt

F8 = ["<f8", [1]]
EIGHT = bytes(8)


def name(value):
    """Of a parameter, the same in every run."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))[:60]


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([], "message: expected a list of frames"),
        ([b""], "metadata"),
        ([b"topic"], "metadata"),
        ([b"", b""], "metadata"),
        ([b"topic", b""], "metadata"),
        ([b"topic", b"topic", metadata([F8]), EIGHT], "metadata"),
        ([b"\xff", metadata([F8]), EIGHT], "topic in UTF-8"),
        ([b"\xc0", metadata([F8]), EIGHT], "topic in UTF-8"),
        ([b"topic", b"\x92\xa3npt\x01"], "metadata"),
        ([b"topic", b"\xa3npt"], "metadata"),
        ([b"\x80"], "metadata"),
        ([b"\x81\xa3npt\x01"], "parts"),
        ([b"\x82\xa5parts\x90\xa3npt\x01"], "first key is npt"),
        ([metadata([F8])[:-1], EIGHT], "msgpack"),
        ([metadata([F8]) + b"\x00", EIGHT], "msgpack"),
        ([metadata([F8]) * 2, EIGHT], "msgpack"),
        ([b"\x83" + metadata([F8])[1:], EIGHT], "msgpack"),
        ([b"\x81" + metadata([F8])[1:], EIGHT], "msgpack"),
        ([metadata([F8])], "1 buffer parts"),
        ([metadata([F8]), EIGHT, b""], "1 buffer parts"),
        ([metadata([F8]), EIGHT, EIGHT], "1 buffer parts"),
        ([metadata([F8, F8]), EIGHT, EIGHT], "one array or a tree"),
        ([metadata([])], "one array or a tree"),
        ([metadata([F8], tree=b""), EIGHT], "msgpack"),
        ([metadata([F8], tree="text"), EIGHT], "tree: expected bytes"),
        ([metadata([F8], tree=0), EIGHT], "tree: expected bytes"),
        ([metadata([F8], tree={}), EIGHT], "tree: expected bytes"),
        ([metadata({}), EIGHT], "parts: expected a list"),
        ([metadata(None), EIGHT], "parts: expected a list"),
        ([metadata([F8] * 1025), *[EIGHT] * 1025], "parts: 1025 found"),
        ([metadata([F8], envelope=None), EIGHT], "envelope"),
        ([metadata([F8], envelope=[]), EIGHT], "envelope"),
        ([metadata([F8], envelope=["s", 1]), EIGHT], "envelope"),
        ([metadata([F8], envelope=["s", -1, 1.0]), EIGHT], "envelope"),
        ([metadata([F8], envelope=["s", True, 1.0]), EIGHT], "envelope"),
        ([metadata([F8], envelope=["s", 1, float("nan")]), EIGHT], "envelope"),
        ([metadata([F8], envelope=["s", 1, float("inf")]), EIGHT], "envelope"),
        ([metadata([F8], envelope=["s" * 65, 1, 1.0]), EIGHT], "envelope"),
        ([metadata([F8], envelope=[b"s", 1, 1.0]), EIGHT], "envelope"),
        ([metadata([["bytes"]], later=msgpack.ExtType(5, b"")), b""], "extension"),
        ([metadata([F8], later=msgpack.Timestamp(1)), EIGHT], "extension"),
        ([metadata([F8], later=tag("t")), EIGHT], "extension"),
        ([metadata([F8], later=memoryview(b"\xa1\xff")), EIGHT], "msgpack"),
        ([metadata([F8], later=memoryview(b"\xc1")), EIGHT], "msgpack"),
        ([metadata([["text"]]), b"\xff"], "text part"),
        ([metadata([["text"]]), b"\xed\xa0\x80"], "text part"),
    ],
    ids=name,
)
def test_messages(frames, text):
    assert text in str(refusal(frames))


@pytest.mark.parametrize(
    "frames",
    [
        None,
        1,
        b"blob",
        "text",
        bytearray(b"x"),
        memoryview(b"x"),
        {},
        {1: 2},
        {b"x"},
        np.zeros(3),
        object(),
        iter([b""]),
    ],
    ids=lambda frames: type(frames).__name__,
)
def test_what_is_no_list_of_frames(frames):
    with pytest.raises(npt.DecodeError, match="expected a list of frames") as caught:
        npt.decode(frames)
    check_error(caught.value)


@pytest.mark.parametrize("frame", [None, "text", 1, [], object(), np.zeros(2, "M8[s]")], ids=name)
def test_what_is_no_frame(frame):
    for frames in ([frame], [frame, EIGHT], [metadata([F8]), frame], [b"topic", frame], [tree(part(0), F8), frame]):
        with pytest.raises(npt.DecodeError) as caught:
            npt.decode(frames)
        check_error(caught.value)


@pytest.mark.parametrize("version", [0, 2, -1, 255, True, 1.0, "1", b"1", None, [1], {}])
def test_an_unknown_version(version):
    head = b"\x82" + pack("npt") + pack(version) + pack("parts") + pack([F8])
    assert "version" in str(refusal([head, EIGHT]))


def test_keys_of_later_versions_are_ignored():
    later = {f"later {i}": value for i, value in enumerate([1, None, [1], {"a": {}}, "x", b"x", 1.5])}
    assert survive([metadata([F8], **later), EIGHT]).tolist() == [0.0]
    assert survive([metadata([F8], envelope=["s", 1, 1.0, "later"]), EIGHT]).tolist() == [0.0]
    dtype = {"itemsize": 8, "fields": [["a", "<f8", 0]], "later": 1}
    assert survive([metadata([[dtype, [1]]]), EIGHT]).tolist() == [(0.0,)]


def test_integers_may_have_any_width():
    shape = memoryview(b"\x91\xd3" + (1).to_bytes(8, "big"))
    head = b"\x82" + pack("npt") + b"\xcd\x00\x01" + pack("parts") + pack([["<f8", shape]])
    assert survive([head, EIGHT]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (part(1), "index below 1"),
        (part(2**32 - 1), "index below 1"),
        (msgpack.ExtType(1, b""), "extension"),
        (msgpack.ExtType(1, b"\0\0\0"), "extension"),
        (msgpack.ExtType(1, bytes(8)), "extension"),
        (msgpack.ExtType(0, bytes(4)), "extension"),
        (msgpack.ExtType(127, b""), "extension"),
        (msgpack.Timestamp(1), "extension"),
        (memoryview(b"\xd4\x80t"), "extension"),  # a type below 0, which msgpack keeps for itself
        ([part(0), part(0)], "in two"),
        ({"a": part(0), "b": tagged("m", [part(0), None, None, False])}, "in two"),
        ([], "in none"),
        (tag("t"), "only key"),
        ([tag("t")], "only key"),
        (tagged("t", tag("t")), "tuple"),
        (tagged("t", [tag("t")]), "only key"),
        ({"a": tag("t")}, "only key"),
        (Pairs([(tag("t"), []), ("a", 1)]), "only key"),
        (Pairs([("a", 1), (tag("t"), [])]), "only key"),
        (Pairs([(tag("t"), []), (tag("t"), [])]), "keys that differ"),
        (Pairs([(tag("t"), []), (tag("i"), b"")]), "only key"),
        (tag("x"), "known tag"),
        (tag("tt"), "known tag"),
        (tag(""), "known tag"),
        (tagged("t", None), "tuple"),
        (tagged("t", "ab"), "tuple"),
        (tagged("t", {}), "tuple"),
        (tagged("t", part(0)), "tuple"),
        (tagged("i", 5), "whole number"),
        (tagged("i", "5"), "whole number"),
        (tagged("i", part(0)), "whole number"),
        (tagged("d", "2024-01-01"), "datetime"),
        (tagged("d", ["2024-01-01", 0]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00", 2, None]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00", True, None]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00", tagged("i", b"\1" * 3000), None]), "datetime"),
        (tagged("d", ["", 0, None]), "datetime"),
        (tagged("d", ["2024-01-01", 0, None]), "datetime"),
        (tagged("d", ["20240101T000000", 0, None]), "datetime"),
        (tagged("d", ["2024-01-01 00:00:00", 0, None]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00.5", 0, None]), "datetime"),
        (tagged("d", ["2024-13-01T00:00:00", 0, None]), "datetime"),
        (tagged("d", ["99999-01-01T00:00:00", 0, None]), "datetime"),
        (tagged("d", [1, 0, None]), "datetime"),
        (tagged("d", [b"2024-01-01", 0, None]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00+01:00", 0, "UTC"]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00+01:00", 0, None]), "datetime"),
        (tagged("d", ["2024-01-01T00:00:00", 0, 1.5]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, True]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, b"UTC"]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, 86_400_000_000]), ""),
        (tagged("d", ["2024-01-01T00:00:00", 0, 2**63]), ""),
        (tagged("d", ["2024-01-01T00:00:00", 0, tagged("i", b"\1" * 3000)]), ""),
        (tagged("d", ["2024-01-01T00:00:00", 0, "Nowhere/Land"]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, ""]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, "Europe"]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, "/etc/passwd"]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, "../../../etc/passwd"]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, "UTC\x00"]), "time zone"),
        (tagged("d", ["2024-01-01T00:00:00", 0, "x" * 10_000]), "time zone"),
        (tagged("s", None), "scalar"),
        (tagged("s", ["<f8"]), "scalar"),
        (tagged("s", ["<f8", b"", b""]), "scalar"),
        (tagged("s", ["<f8", b"1234567"]), "scalar"),
        (tagged("s", ["<f8", "12345678"]), "scalar"),
        (tagged("s", ["<f8", part(0)]), "scalar"),
        (tagged("s", [part(0), bytes(8)]), ""),
        (tagged("s", ["text", b"a"]), "text scalar"),
        (tagged("s", ["bytes", "a"]), "bytes scalar"),
        (tagged("s", [{"string": "utf-8"}, b""]), "dtype"),
        (tagged("s", [{"itemsize": 8, "fields": [["a", part(0), 0]]}, EIGHT]), "dtype"),
        (tagged("s", [{"itemsize": 8, "fields": part(0)}, EIGHT]), "dtype"),
        (tagged("s", [{"itemsize": 8, "fields": [], "aligned": part(0)}, EIGHT]), ""),
        (memoryview(b"\xa1\xff"), "msgpack"),
        (memoryview(b"\xa3\xed\xa0\x80"), "msgpack"),
        (memoryview(b"\xc1"), "msgpack"),
        (memoryview(b"\xc0\xc0"), "msgpack"),
        (memoryview(b""), "msgpack"),
        ([0] * (2**14 + 1), "items"),
        ({i: i for i in range(2**13 + 1)}, "items"),
    ],
    ids=name,
)
def test_trees(payload, text):
    assert text in str(refusal([tree(payload, F8), EIGHT]))


FILL = tagged("s", ["<f8", EIGHT])


@pytest.mark.parametrize(
    "value",
    [
        None,
        [part(0), part(1), FILL],
        [part(0), part(1), FILL, 1],
        [part(0), part(1), FILL, None],
        [None, part(1), FILL, True],
        [[0.0], part(1), FILL, True],
        [part(0), False, FILL, True],
        [part(0), [False], FILL, True],
        [part(0), part(0), FILL, True],
        [part(0), part(2), FILL, True],
        [part(0), part(3), FILL, True],
        [part(0), part(1), 0.0, True],
        [part(0), part(1), part(0), True],
        [part(0), part(1), tagged("s", ["text", "none"]), True],
    ],
    ids=name,
)
def test_masked_arrays(value):
    layouts = [F8, ["|b1", [1]], ["|b1", [2]], ["text"]]
    refusal([tree(tagged("m", value), *layouts), EIGHT, b"\0", b"\0\0", b"mask"])


def test_memory_does_not_grow_with_what_lengths_claim():
    nested = memoryview(b"\xdc\xff\xff" * 22_000)  # 66 KB that cost a trusting unpacker 34 MB
    huge = [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
    for claim in (nested, memoryview(b"\xde\xff\xff" * 22_000), *map(memoryview, huge)):
        for frames in ([metadata(claim)], [metadata([], tree=bytes(claim))], [metadata([F8], later=claim), EIGHT]):
            tracemalloc.start()
            try:
                refusal(frames)
                assert tracemalloc.get_traced_memory()[1] < 2**20
            finally:
                tracemalloc.stop()


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x01", b"\x81\xd4\x02t\x91", b"\xdc\x00\x01", b"\x81\x90"])
@pytest.mark.parametrize("depth", [65, 600, 2_000, 20_000])
def test_deep_nesting(opening, depth):
    document = opening * depth + b"\xc0"
    assert refusal([metadata([], tree=document)]).limit in ("max_nesting", "max_items")
    if b"\xd4" not in opening:
        assert refusal([metadata([F8], later=memoryview(document)), EIGHT]).limit in ("max_nesting", "max_items")
    survive([metadata([], tree=document)], limits=npt.Limits(max_nesting=10**6, max_items=10**6))


@pytest.mark.parametrize("key", [0, "a", b"a", None, 1.5, 2**63])
def test_equal_keys(key):
    pairs = Pairs([(key, 1), (key, 2)])
    assert "keys that differ" in str(refusal([tree(pairs)]))
    assert "keys that differ" in str(refusal([metadata([F8], later=pairs), EIGHT]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0),
        (1, True),
        (tagged("t", [1]), tagged("t", [1])),
        (tagged("i", b"\x01"), 1),
        (tagged("s", ["<i4", b"\1\0\0\0"]), 1),
        (tagged("s", ["text", "a"]), "a"),
    ],
    ids=name,
)
def test_keys_that_are_equal_once_they_are_lifted(first, second):
    assert "keys that differ" in str(refusal([tree(Pairs([(first, 1), (second, 2)]))]))


def test_keys_of_the_metadata_that_come_twice():
    assert "keys that differ" in str(refusal([b"\x83" + HEAD + (pack("parts") + pack([F8])) * 2, EIGHT]))
    assert "keys that differ" in str(refusal([b"\x83" + HEAD + HEAD + pack("parts") + pack([F8]), EIGHT]))


def test_an_envelope_that_comes_twice_also_where_the_rest_is_known():
    entry = pack("envelope") + pack(["0123456789abcdef", 2**40, 1.5])
    rest = pack("parts") + pack([F8])
    for _ in range(2):
        assert survive([b"\x83" + HEAD + entry + rest, EIGHT]).tolist() == [0.0]
        refusal([b"\x84" + HEAD + entry + entry + rest, EIGHT])
        refusal([b"\x82" + HEAD + entry + rest, EIGHT])
        refusal([b"\x84" + HEAD + entry + rest, EIGHT])


@pytest.mark.parametrize("key", [[], [1], {}, tagged("t", [[]]), part(0)], ids=name)
def test_keys_that_cannot_be_keys(key):
    refusal([tree(Pairs([(key, 1)]), F8), EIGHT])


@pytest.mark.parametrize("others", [0, 100])
def test_keys_chosen_to_collide(others):
    modulus = 2**61 - 1  # Python's hash of an int is its remainder
    collide = [(tagged("i", (modulus * i).to_bytes(12, "big")), i) for i in range(1, 2500)]
    assert "hashes" in str(refusal([tree(Pairs([(i, i) for i in range(others)] + collide))]))
