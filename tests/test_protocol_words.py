"""Words: whatever the bytes are, a word or a DecodeError; and what is written is what is read."""

from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nptransport as npt
from nptransport.protocol.words import Form, Reader, Word, Writer

names = st.text(min_size=1, max_size=40)
identities = st.binary(min_size=1, max_size=255)
attempts = st.integers(1, 2**31 - 1)
intervals = st.one_of(st.floats(0.001, 3600), st.integers(1, 3600))
forms = st.sampled_from([Form.ALL, Form.ONE])
numbers = st.integers(0, 2**64 - 1)
FIELDS = {
    "call": (names, forms, attempts),
    "cancel": (),
    "result": (),
    "error": (),
    "busy": (),
    "task": (identities, attempts, names, forms),
    "drop": (identities, attempts),
    "done": (identities, attempts),
    "failed": (identities, attempts),
    "returned": (identities, attempts),
}
ALONE = {
    "alive": (intervals,),
    "room": (),
    "here": (names, intervals),
    "who": (),
    "ready": (names, st.integers(1, 2**16), intervals),
    "beat": (),
    "leaving": (),
    "goodbye": (),
}


@given(st.data())
def test_what_is_written_is_what_is_read(data):
    writer, reader = Writer(), Reader()
    for _ in range(3):
        kind = data.draw(st.sampled_from([*FIELDS, *ALONE]))
        fields = tuple(data.draw(each) for each in {**FIELDS, **ALONE}[kind])
        number = data.draw(numbers) if kind in FIELDS else 0
        head = writer.about(number, kind, *fields) if kind in FIELDS else writer.word(kind, *fields)
        assert reader.read(head) == reader.read(head) == Word(kind, fields, number)
        shorter = msgpack.packb([1, kind, *fields, *([number] if kind in FIELDS else [])])
        assert reader.read(shorter) == Word(kind, fields, number)  # in any of msgpack's spellings


@given(st.lists(st.binary(max_size=200), min_size=1))
def test_any_bytes(heads):
    reader = Reader()
    for head in heads:
        with contextlib.suppress(npt.DecodeError):
            assert isinstance(reader.read(head), Word)


scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary())
values = st.one_of(scalars, st.lists(scalars, max_size=3))


@given(st.sampled_from([*FIELDS, *ALONE]), st.lists(values, max_size=6), st.data())
def test_anything_like_a_word(kind, fields, data):
    """Of other fields, or with bytes that were changed: a word with the fields it has to have, or a DecodeError."""
    reader = Reader()
    head = bytearray(msgpack.packb([1, kind, *fields]))
    for _ in range(data.draw(st.integers(0, 2))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.integers(0, 255))
    try:
        word = reader.read(bytes(head))
    except npt.DecodeError:
        return
    expected = {**FIELDS, **ALONE}[word.kind]
    assert len(word.fields) == len(expected)
    assert type(word.number) is int
    assert 0 <= word.number < 2**64


@pytest.mark.parametrize(
    "fields",
    [["call", "m", 1, 0, 5], ["call", "m", 2, 1, 5], ["call", "", 1, 1, 5], ["call", "m", True, 1, 5],
     ["call", "m", 1, 1, -1], ["call", "m", 1, 1], ["call", b"m", 1, 1, 5], ["alive", 0], ["alive", float("nan")],
     ["alive", float("inf")], ["task", b"", 1, "m", 1, 5], ["ready", "w", 0, 1.0], ["ready", "w", 2**17, 1.0],
     ["room", 1],
     [1], [], ["ROOM"], [None]],
    ids=str,
)  # fmt: skip
def test_fields_that_are_none(fields):
    with pytest.raises(npt.DecodeError):
        Reader().read(msgpack.packb([1, *fields]))
