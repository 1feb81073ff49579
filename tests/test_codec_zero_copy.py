"""Memory: what encode lends, what decode borrows, and what becomes of it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import zmq
from dtype_strategies import HAS_STRING_DTYPE, every_dtype
from hypothesis import given
from hypothesis import strategies as st
from same import difference
from strategies import arrays

import nptransport as npt


def memory(buffer):
    return np.frombuffer(buffer, "u1")


def at_offset(data: bytes, offset: int, alignment: int = 64) -> memoryview:
    """``data`` in memory whose address is ``offset`` past a multiple of ``alignment``."""
    room = np.zeros(len(data) + 2 * alignment, "u1")
    start = -room.ctypes.data % alignment + offset
    room[start : start + len(data)] = memory(data)
    return room[start : start + len(data)].data


FIXED_DTYPES = [dtype for dtype in every_dtype() if dtype.kind != "T" and dtype.itemsize]


@pytest.mark.parametrize("dtype", FIXED_DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_encode_lends_the_memory_of_contiguous_arrays(dtype, order):
    array = np.zeros((3, 4), dtype, order=order)
    for payload in (array, array, {"frames": [array]}):  # the second time it is remembered
        _, part = npt.encode(payload)
        assert memory(part).ctypes.data == array.ctypes.data
        assert memory(part).nbytes == array.nbytes


def test_encode_lends_slices_that_lie_in_one_piece():
    array = np.zeros((4, 5, 6))
    for piece in (array[1:3], array[2], array.T[:, :, 1:], array[None], np.flipud(array[:1])):
        assert np.shares_memory(memory(npt.encode(piece)[1]), array)


def test_encode_lends_the_data_and_the_mask_of_a_masked_array():
    array = np.ma.MaskedArray(np.zeros(5), mask=np.zeros(5, bool))
    _, data, mask = npt.encode(array)
    assert np.shares_memory(memory(data), array.data)
    assert np.shares_memory(memory(mask), array.mask)


def test_encode_lends_read_only_arrays_and_leaves_them_so():
    array = np.zeros(5)
    array.flags.writeable = False
    assert npt.encode(array)[1].readonly
    assert np.shares_memory(memory(npt.encode(array)[1]), array)


def test_encode_lends_long_bytes():
    data = bytes(5000)
    assert npt.encode(data)[1] is data


@given(arrays())
def test_parts_are_flat_bytes(array):
    for frame in npt.encode(array):
        view = memoryview(frame)
        assert view.contiguous
        assert view.ndim == view.itemsize == 1
        assert len(frame) == view.nbytes


@pytest.mark.parametrize("dtype", FIXED_DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_decode_borrows_the_parts(dtype, order):
    metadata, part = npt.encode(np.zeros((3, 4), dtype, order=order))
    part = at_offset(bytes(part), 0)
    for _ in range(2):
        array = npt.decode([metadata, part])
        assert array.ctypes.data == memory(part).ctypes.data
        assert array.flags.aligned
        assert not array.flags.owndata


@given(arrays(), st.integers(0, 63))
def test_arrays_are_read_only_and_aligned_wherever_the_part_lies(array, offset):
    metadata, part = npt.encode(array)
    part = at_offset(bytes(part), offset)
    arrived = npt.decode([metadata, part])
    assert difference(array, arrived) is None
    assert arrived.flags.aligned or not arrived.nbytes
    assert not arrived.flags.writeable
    if array.nbytes and arrived.ctypes.data == memory(part).ctypes.data:
        with pytest.raises(ValueError, match="WRITEABLE"):
            arrived.flags.writeable = True


def test_a_part_that_is_not_aligned_is_copied_and_only_that():
    metadata, part = npt.encode(np.arange(10.0))
    for offset in range(16):
        lying = at_offset(bytes(part), offset)
        array = npt.decode([metadata, lying])
        assert np.shares_memory(array, memory(lying)) == (offset % 8 == 0)
        assert array.tolist() == list(range(10))


def test_a_writable_part_gives_a_read_only_array_that_shares_it():
    metadata, part = npt.encode(np.zeros(4))
    part = bytearray(part)
    array = npt.decode([metadata, part])
    assert not array.flags.writeable
    part[:] = np.ones(4).tobytes()
    assert array.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("payload", [np.arange(4.0), {"a": np.arange(4.0)}, np.ma.MaskedArray([1.0, 2.0])], ids=type)
def test_the_array_keeps_the_memory_alive(payload):
    class Room(np.ndarray):
        """An array that a weak reference can watch."""

    parts = [np.frombuffer(bytes(frame), "u1").view(Room) for frame in npt.encode(payload)]
    watched = weakref.ref(parts[1])
    arrived = npt.decode(parts)
    del parts
    gc.collect()
    assert watched() is not None
    assert difference(payload, arrived) is None
    del arrived
    gc.collect()
    assert watched() is None


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, zmq.Frame, memory])
def test_every_kind_of_frame(make):
    payload = {"a": np.arange(3), "b": "x" * 2000, "c": b"y" * 2000, "d": 1}
    frames = [make(bytes(frame)) for frame in npt.encode(payload)]
    assert difference(payload, npt.decode(frames)) is None
    assert difference(payload, npt.decode(tuple(frames))) is None


def test_frames_of_other_formats_and_shapes():
    metadata, part = npt.encode(np.arange(6.0))
    doubles = memoryview(bytes(part)).cast("d")
    apart = memoryview(np.repeat(memory(part), 2))[::2]
    for frame in (doubles, doubles.cast("B").cast("d", (2, 3)), apart, np.arange(6.0), np.arange(6.0).reshape(3, 2)):
        assert npt.decode([metadata, frame]).tolist() == [0, 1, 2, 3, 4, 5]
    assert npt.decode([npt.encode(np.zeros((2, 0)))[0], np.zeros((2, 0))]).shape == (2, 0)


def test_frames_from_a_socket():
    payload = {"image": np.arange(100_000, dtype="u2").reshape(100, 1000), "name": "left"}
    with zmq.Context() as context, context.socket(zmq.PAIR) as left, context.socket(zmq.PAIR) as right:
        left.bind("inproc://frames")
        right.connect("inproc://frames")
        for copy in (True, False):
            left.send_multipart(npt.encode(payload), copy=copy)
            assert difference(payload, npt.decode(right.recv_multipart(copy=copy))) is None


@pytest.mark.skipif(not HAS_STRING_DTYPE, reason="needs NumPy 2")
def test_strings_are_copied_and_read_only():
    frames = [bytearray(frame) for frame in npt.encode(np.array(["a", "b"], np.dtypes.StringDType()))]
    array = npt.decode(frames)
    frames[1][-2:] = b"cd"
    assert array.tolist() == ["a", "b"]
    assert not array.flags.writeable
