"""The short cut for repeated metadata never says anything else than the decoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import difference
from strategies import arrays

from nptransport.codec.decoder import Decoder
from nptransport.codec.descriptor import Descriptor, Piece, read_descriptor, write_entry
from nptransport.codec.encoder import Encoder
from nptransport.codec.envelope import EnvelopeWriter
from nptransport.codec.framing import join_frames
from nptransport.codec.metadata import ALONE, with_entry
from nptransport.codec.repeats import Repeats
from nptransport.errors import DecodeError
from nptransport.protocol.copies import parts_of, read
from nptransport.protocol.repeated import RepeatedCopies


def opened(metadata):
    try:
        return Decoder().open(metadata)
    except DecodeError:
        return None


def learnt(metadata):
    repeats = Repeats()
    plan, envelope, _ = Decoder().open(metadata)
    repeats.learn(metadata, envelope, plan)
    return repeats


@given(arrays())
@settings(max_examples=300, deadline=None)
def test_a_repeated_array_is_built_as_the_long_way_builds_it(array):
    encoder, writer = Encoder(), EnvelopeWriter("0123456789abcdef", ALONE)
    first, *_ = encoder.encode(array, writer.entry(1.0))
    repeats = learnt(bytes(first))
    writer.sequence = 7
    metadata, *parts = [bytes(frame) for frame in encoder.encode(array, writer.entry(2.0))]
    repeat = repeats.find(metadata)
    if repeat is not None:
        assert (repeat.source, repeat.sequence, repeat.sent_at) == ("0123456789abcdef", 7, 2.0)
        assert [repeat.nbytes] == [len(part) for part in parts]
        built = repeat.build(parts[0])
        assert not built.flags.writeable
        assert difference(Decoder().decode([metadata, *parts]), built) is None


@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f4", "c16", "M8[us]", "U3", "S5", [("a", "i4"), ("b", "f8", 2)]])
@pytest.mark.parametrize("shape", [(5,), (2, 3), ()])
def test_most_arrays_take_it(dtype, shape):
    array, writer = np.zeros(shape, dtype), EnvelopeWriter("0123456789abcdef", ALONE)
    metadata = bytes(Encoder().encode(array, writer.entry(1.0))[0])
    assert (learnt(metadata).find(metadata) is None) == (np.dtype(dtype).kind == "U")  # whose elements are looked at


@given(st.data())
@settings(max_examples=700, deadline=None)
def test_metadata_that_was_changed_is_what_the_decoder_says(data):
    writer = EnvelopeWriter("0123456789abcdef", ALONE)
    metadata = bytearray(Encoder().encode(np.zeros((2, 3), "f4"), writer.entry(1.0))[0])
    repeats = learnt(bytes(metadata))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(metadata) - 1))
        metadata[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    repeat = repeats.find(bytes(metadata))
    if repeat is not None:
        plan, envelope, shared = opened(bytes(metadata))
        assert envelope == (repeat.source, repeat.sequence, repeat.sent_at)
        assert shared is None
        assert [(each.dtype, each.shape) for each in plan.layouts] == [(np.dtype("f4"), (2, 3))]


@given(st.data())
@settings(max_examples=700, deadline=None)
def test_a_place_in_shared_memory_that_was_changed_is_what_the_decoder_says(data):
    writer = EnvelopeWriter("0123456789abcdef", ALONE)
    entry = write_entry(Descriptor(b"a sender", 3, 4, 5, [Piece(0, 0, 24)]))
    metadata = with_entry(Encoder().encode(np.zeros((2, 3), "f4"), writer.entry(1.0))[0], entry)
    repeats = learnt(metadata)
    assert repeats.find(metadata) is None
    assert repeats.find_shared(metadata)[1] == (3, 4, 5)
    changed = bytearray(metadata)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    assert repeats.find(bytes(changed)) is None
    found = repeats.find_shared(bytes(changed))
    if found is not None:
        repeat, place = found
        plan, envelope, shared = opened(bytes(changed))
        assert envelope == (repeat.source, repeat.sequence, repeat.sent_at)
        assert read_descriptor(shared, 1) == Descriptor(repeat.sender, *place, [Piece(0, 0, 24)])
        assert [(each.dtype, each.shape) for each in plan.layouts] == [(np.dtype("f4"), (2, 3))]


def blob_of(array, sequence, sent_at):
    writer = EnvelopeWriter("0123456789abcdef", ALONE)
    writer.sequence = sequence
    return join_frames(Encoder().encode(array, writer.entry(sent_at)))


def unwrapped(blob):
    metadata, plan, envelope, parts = Decoder().open_blob(blob)
    return plan, envelope, metadata, parts


def learnt_blobs(*blobs):
    repeats = Repeats()
    for blob in blobs:
        plan, envelope, metadata, _ = unwrapped(blob)
        repeats.learn_blob(blob, metadata, envelope, plan)
    return repeats


@given(arrays())
@settings(max_examples=300, deadline=None)
def test_a_repeated_blob_is_what_the_long_way_makes_of_it(array):
    first, second = blob_of(array, 0, 1.0), blob_of(array, 7, 2.0)
    repeats = learnt_blobs(first)
    for _ in range(2):  # by the rest of it, and by what came last
        repeat = repeats.find_blob(second)
        if repeat is not None:
            plan, envelope, metadata, parts = unwrapped(second)
            assert (repeat.source, repeat.sequence, repeat.sent_at) == envelope
            assert repeat.size == len(metadata) + sum(map(len, parts))
            assert difference(plan.payload(parts), repeat.build(second)) is None
            assert not repeat.build(second).flags.writeable


def test_blobs_of_many_layouts_are_told_apart():
    layouts = [
        np.arange(100, dtype="<f4"),
        np.arange(100, dtype="<i4"),
        np.zeros((10, 10), "<i4"),
        np.zeros(50, "M8[s]"),
    ]
    repeats = learnt_blobs(*(blob_of(array, 0, 1.0) for array in layouts))
    for sequence in (1, 2):
        for array in [*layouts, *reversed(layouts)]:
            blob = blob_of(array, sequence, 1.0)
            repeat = repeats.find_blob(blob)
            assert repeat.sequence == sequence
            assert difference(array, repeat.build(blob)) is None
    assert repeats.find_blob(blob_of(np.zeros(100, "<u4"), 1, 1.0)) is None
    assert repeats.find_blob(blob_of(layouts[0], 1, np.inf)) is None


@given(st.data())
@settings(max_examples=700, deadline=None)
def test_a_blob_that_was_changed_is_what_the_long_way_says(data):
    first = blob_of(np.zeros((2, 3), "f4"), 3, 1.0)
    repeats, changed = learnt_blobs(first), bytearray(first)
    if data.draw(st.booleans()):
        repeats.find_blob(first)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    repeat = repeats.find_blob(bytes(changed))
    if repeat is not None:
        plan, envelope, _, parts = unwrapped(bytes(changed))
        assert (repeat.source, repeat.sequence, repeat.sent_at) == envelope
        assert difference(plan.payload(parts), repeat.build(bytes(changed))) is None


START = b"\xff=abcdefgh"


def copy_of(topic, array, sequence, sent_at):
    """The one part that a copy for a subscriber is; None where it is several."""
    writer = EnvelopeWriter("0123456789abcdef", ALONE)
    writer.sequence = sequence
    parts = parts_of(Encoder().encode(array, writer.entry(sent_at)), joined=True)
    return START + topic.encode() + parts[0] if len(parts) == 1 else None


def the_long_way(first):
    topic, metadata, buffer = read(first, len(START))
    plan, envelope, shared = Decoder().open(metadata)
    assert shared is None
    return topic.decode(), envelope, plan.payload([buffer]), plan


def learnt_copies(first):
    copies = RepeatedCopies(START)
    topic, envelope, _, plan = the_long_way(first)
    copies.learn(first, topic, envelope, plan, len(first))
    return copies


@given(arrays(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=300, deadline=None)
def test_a_repeated_copy_is_what_the_long_way_makes_of_it(array, topic):
    first, second = copy_of(topic, array, 0, 1.0), copy_of(topic, array, 7, 2.0)
    found = None if first is None else learnt_copies(first).find(second)
    if found is not None:
        repeat, content = found
        name, envelope, payload, _ = the_long_way(second)
        assert (repeat.topic, repeat.source, repeat.sequence, repeat.sent_at) == (name, *envelope)
        assert repeat.size == len(first)
        assert difference(payload, repeat.build(content)) is None
        assert not repeat.build(content).flags.writeable


@pytest.mark.parametrize("topic", ["", "camera/left", "ξ" * 50])
def test_a_copy_of_most_small_arrays_is_found_again(topic):
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    copies = learnt_copies(copy_of(topic, array, 0, 1.0))
    repeat, content = copies.find(copy_of(topic, array + 1, 2**40, 5.0))
    assert (repeat.topic, repeat.sequence, repeat.sent_at) == (topic, 2**40, 5.0)
    assert difference(array + 1, repeat.build(content)) is None
    for other in (
        copy_of(topic + "x", array, 1, 1.0),
        copy_of(topic, array.T, 1, 1.0),
        copy_of(topic, array[:1], 1, 1.0),
    ):
        assert copies.find(other) is None


@given(st.data())
@settings(max_examples=700, deadline=None)
def test_a_copy_that_was_changed_is_what_the_long_way_says(data):
    first = copy_of("camera", np.zeros((2, 3), "f4"), 3, 1.0)
    copies, changed = learnt_copies(first), bytearray(first)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    found = copies.find(bytes(changed))
    if found is not None:
        repeat, content = found
        name, envelope, payload, _ = the_long_way(bytes(changed))
        assert (repeat.topic, repeat.source, repeat.sequence, repeat.sent_at) == (name, *envelope)
        assert difference(payload, repeat.build(content)) is None
