"""What is no array but offers its memory: by the buffer protocol, ``__array_interface__`` or DLPack."""

from __future__ import annotations

import array
import ctypes
import mmap

import numpy as np
import pytest
from same import difference

import nptransport as npt


class Interface:
    """An array known by its ``__array_interface__`` only."""

    def __init__(self, of: np.ndarray) -> None:
        self.__array_interface__ = of.__array_interface__
        self.of = of


class Capsule:
    """An array known by DLPack only, as a tensor on the CPU is."""

    def __init__(self, of: np.ndarray) -> None:
        self.of = of

    def __dlpack__(self, **options: object) -> object:
        return self.of.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.of.__dlpack_device__()


ARRAYS = [
    np.arange(6, dtype="f4").reshape(2, 3),
    np.arange(6, dtype="i8").reshape(2, 3).T,
    np.arange(12.0)[::2],
    np.array(1.5),
    np.zeros((0, 3), "u1"),
    np.array([True, False]),
]


@pytest.mark.parametrize("export", [Interface, Capsule, memoryview], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("of", ARRAYS, ids=lambda of: f"{of.dtype}{of.shape}")
def test_an_exporter_is_sent_as_its_array(export, of):
    assert difference(of, npt.decode(npt.encode(export(of)))) is None
    assert difference([of], npt.decode(npt.encode([export(of)]))) is None


@pytest.mark.parametrize("export", [Interface, Capsule, memoryview], ids=lambda kind: kind.__name__)
def test_an_exporter_lends_its_memory(export):
    of = np.arange(6.0)
    _, part = npt.encode(export(of))
    assert np.shares_memory(np.frombuffer(part), of)


@pytest.mark.parametrize("dtype", [">f8", "M8[ns]", "S3", "U2", [("a", "i4"), ("b", "f8")]], ids=str)
def test_the_array_interface_carries_dtypes_that_buffers_do_not(dtype):
    of = np.zeros(3, dtype)
    assert difference(of, npt.decode(npt.encode(Interface(of)))) is None


@pytest.mark.parametrize(
    ("exporter", "expected"),
    [
        (bytearray(b"ab"), np.array([97, 98], "u1")),
        (array.array("d", [1, 2]), np.array([1.0, 2.0])),
        (array.array("i"), np.array([], "i4")),
        ((ctypes.c_int16 * 2)(1, 2), np.array([1, 2], "i2")),
        ((ctypes.c_int16 * 2 * 2)((1, 2), (3, 4)), np.array([[1, 2], [3, 4]], "i2")),
        (ctypes.c_double(2), np.array(2.0)),
        (memoryview(b"abcdef").cast("B", (2, 3)), np.frombuffer(b"abcdef", "u1").reshape(2, 3)),
        (memoryview(b"abcdef")[::-2], np.frombuffer(b"fdb", "u1")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_buffers_of_the_standard_library(exporter, expected):
    assert difference(expected, npt.decode(npt.encode(exporter))) is None


def test_a_structure_of_ctypes_is_a_structured_array():
    class Point(ctypes.Structure):
        _fields_ = (("x", ctypes.c_float), ("y", ctypes.c_int32))

    arrived = npt.decode(npt.encode((Point * 2)((1.0, 2), (3.0, 4))))
    assert arrived.tolist() == [(1.0, 2), (3.0, 4)]
    assert arrived.dtype.names == ("x", "y")


def test_mapped_memory():
    with mmap.mmap(-1, 4) as mapped:
        mapped[:] = b"abcd"
        arrived = npt.decode([bytes(frame) for frame in npt.encode(mapped)])
        assert arrived.tobytes() == b"abcd"


def test_bytes_stay_bytes():
    assert npt.decode(npt.encode(b"ab")) == b"ab"
    assert type(npt.decode(npt.encode(b"ab"))) is bytes


class OnDevice:
    """What lies somewhere else, as a tensor on a GPU does."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __buffer__(self, flags: int) -> memoryview:
        raise BufferError("only defined for CPU buffers")

    def __dlpack__(self, **options: object) -> object:
        raise AssertionError("asked for it")

    def __array__(self, **options: object) -> np.ndarray:
        raise AssertionError("copied without a word")

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 1


class OfNumba:
    """An array of numba.cuda's, which has no DLPack."""

    def __init__(self) -> None:
        self.__cuda_array_interface__ = {"shape": (2,), "typestr": "<f4", "data": (1, False), "version": 3}


@pytest.mark.parametrize(
    ("value", "where"), [(OnDevice(2), "cuda:1"), (OnDevice(99), "device type 99:1"), (OfNumba(), "cuda")]
)
def test_what_lies_on_another_device_is_refused_and_what_to_do_is_said(value, where):
    with pytest.raises(npt.EncodeError, match=f"in the memory of {where}; copy it to the CPU first") as caught:
        npt.encode({"frames": [value]})
    assert caught.value.path == "payload['frames'][0]"


@pytest.mark.parametrize("kind", [3, 11, 13])
def test_memory_that_a_device_shares_with_the_cpu_is_read(kind):
    class Pinned(Capsule):
        def __dlpack_device__(self) -> tuple[int, int]:
            return kind, 0

        def __dlpack__(self, **options: object) -> object:
            asked.append(kind)
            raise BufferError("not by this test")

    asked: list[int] = []
    with pytest.raises(npt.EncodeError, match="not by this test"):
        npt.encode(Pinned(np.ones(3)))
    assert asked == [kind]
