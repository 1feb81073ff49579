"""Blobs: a message in one bytes object; and what people hand to loads instead."""

from __future__ import annotations

import base64
import gzip
import io
import json
import mmap
import pickle
import re
import struct

import numpy as np
import pytest
from hostile import check_error
from hypothesis import given
from hypothesis import strategies as st
from same import difference
from strategies import payloads

import nptransport as npt

PAYLOAD = {"image": np.arange(12, dtype="u2").reshape(3, 4), "name": "left", "empty": np.zeros((0, 2))}


def refusal(blob, **options):
    with pytest.raises(npt.DecodeError) as caught:
        npt.loads(blob, **options)
    check_error(caught.value)
    return str(caught.value)


@given(payloads())
def test_a_blob_holds_what_decode_gives(payload):
    assert difference(npt.decode(npt.encode(payload)), npt.loads(npt.dumps(payload))) is None


def test_the_layout_of_the_bytes():
    blob = npt.dumps(np.arange(3, dtype="<i4"))
    metadata, _ = npt.encode(np.arange(3, dtype="<i4"))
    assert blob[:8] == b"\x89NPT\r\n\x1a\n"
    assert struct.unpack_from("<II2Q", blob, 8) == (2, 0, len(metadata), 12)
    assert blob[32:64] == bytes(32)
    assert blob[64 : 64 + len(metadata)] == metadata
    assert blob[128:] == struct.pack("<3i", 0, 1, 2)
    assert not any(blob[64 + len(metadata) : 128])


def test_parts_are_aligned_to_64_bytes():
    blob = npt.dumps([np.zeros(3, "u1"), np.arange(4.0), np.zeros(5, "u1"), np.arange(4.0)])
    room = np.zeros(len(blob) + 64, "u1")
    start = -room.ctypes.data % 64
    room[start : start + len(blob)] = np.frombuffer(blob, "u1")
    for array in npt.loads(room[start : start + len(blob)]):
        assert array.ctypes.data % 64 == 0
        assert np.shares_memory(array, room)


def test_arrays_are_read_only_views_that_keep_the_blob_alive():
    array = npt.loads(bytearray(npt.dumps(np.arange(4.0))))
    assert not array.flags.writeable
    assert not array.flags.owndata
    assert array.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda blob: np.frombuffer(blob, "u1")])
def test_every_kind_of_buffer(make):
    assert difference(PAYLOAD, npt.loads(make(npt.dumps(PAYLOAD)))) is None


def test_a_mapped_file(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(npt.dumps(PAYLOAD))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    arrived = npt.loads(mapped)
    assert difference(PAYLOAD, arrived) is None
    with pytest.raises(BufferError):
        mapped.close()  # the arrays still stand on it
    del arrived
    mapped.close()


def saved(save, *arguments):
    file = io.BytesIO()
    save(file, *arguments)
    return file.getvalue()


ARRAY = np.arange(6, dtype="f4")


@pytest.mark.parametrize(
    ("blob", "found", "advice"),
    [
        (ARRAY.tobytes(), "raw bytes, as from tobytes", "numpy.frombuffer(blob, dtype).reshape(shape)"),
        (b"\x00", "raw bytes, as from tobytes", "dumps"),
        (saved(np.save, ARRAY), "an .npy file", "numpy.load(io.BytesIO(blob))"),
        (saved(np.savez, ARRAY), "a zip archive such as .npz", "numpy.load(io.BytesIO(blob))"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG picture", "an image reader"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG picture", "an image reader"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file", "h5py"),
        (gzip.compress(npt.dumps(ARRAY), mtime=0), "gzip", "gzip.decompress(blob) first"),
        (json.dumps({"a": 1}).encode(), "JSON", "json.loads(blob)"),
        (pickle.dumps({"a": 1}, 0), "a pickle", "never unpickles"),
        (pickle.dumps([1], 0), "a pickle", "never unpickles"),
        (json.dumps([1, 2]).encode(), "text", "json.loads reads JSON"),
        (base64.encodebytes(npt.dumps(ARRAY)), "text", "decode base64 or hex first"),
        (npt.encode(ARRAY)[0], "the metadata part of a message", "for a list of frames call decode"),
        (npt.encode({"a": ARRAY})[0], "the metadata part of a message", "for a list of frames call decode"),
        (b"", "nothing", ""),
        (npt.encode(ARRAY), "list", "for a list of frames call decode"),
        (tuple(npt.encode(ARRAY)), "tuple", "for a list of frames call decode"),
        ("text", "str", ""),
        (None, "NoneType", ""),
        (7, "int", ""),
        ({}, "dict", ""),
        (object(), "object", ""),
        (memoryview(bytes(8))[::2], "memoryview", ""),
        (np.zeros((2, 2)).T, "ndarray", ""),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", repr(value))[:30],
)
def test_what_is_no_blob_is_called_by_its_name(blob, found, advice):
    text = refusal(blob)
    assert f"found {found}" in text
    assert advice in text


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_named_and_not_loaded(protocol):
    text = refusal(pickle.dumps(ARRAY, protocol=protocol))
    assert "found a pickle" in text
    assert "never unpickles" in text


def test_a_blob_cut_off_at_any_offset():
    blob = npt.dumps(PAYLOAD)
    for length in range(len(blob)):
        text = refusal(blob[:length])
        if length >= 8:
            assert "found raw bytes" not in text


def test_a_blob_cut_off_within_its_signature_is_no_raw_bytes():
    for length in range(4, 8):
        assert "raw bytes" not in refusal(npt.dumps(PAYLOAD)[:length])


def test_bytes_behind_the_end():
    blob = npt.dumps(PAYLOAD)
    for more in (b"\x00", b"\n", bytes(64), blob):
        refusal(blob + more)
    refusal(b"\x00" + blob)


def test_line_ends_that_a_transfer_changed():
    blob = npt.dumps(PAYLOAD)
    refusal(blob.replace(b"\r\n", b"\n"))
    refusal(blob.replace(b"\n", b"\r\n"))
    refusal(bytes(byte & 0x7F for byte in blob))


@pytest.mark.parametrize("offset", range(8, 40))
def test_a_changed_header(offset):
    blob = bytearray(npt.dumps(PAYLOAD))
    blob[offset] ^= 0x81
    refusal(blob)


def test_frames_that_a_header_only_claims():
    head = b"\x89NPT\r\n\x1a\n"
    assert "parts" in refusal(head + struct.pack("<II", 2**32 - 1, 0))
    assert "header" in refusal(head + struct.pack("<II", 5, 0))
    assert "header" in refusal(head + struct.pack("<II", 0, 1))
    assert "cut off" in refusal(head + struct.pack("<II2Q", 2, 0, 2**64 - 1, 2**64 - 1) + bytes(100))
    refusal(head + struct.pack("<II", 0, 0))


def test_limits_hold_for_blobs():
    blob = npt.dumps([np.zeros(3)] * 3)
    with pytest.raises(npt.LimitExceeded):
        npt.loads(blob, limits=npt.Limits(max_parts=2))
    assert len(npt.loads(blob, limits=npt.Limits(max_parts=3))) == 3


@given(st.binary(max_size=80))
def test_any_bytes(blob):
    refusal(blob)
    refusal(b"\x89NPT\r\n\x1a\n" + blob)
