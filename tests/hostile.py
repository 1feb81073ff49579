"""Tools for the tests of malformed input: messages from raw pieces, and the invariant that each has to keep."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

import nptransport as npt

HEAD = msgpack.packb("npt") + msgpack.packb(1)
LONG_ENOUGH_FOR_A_MESSAGE = 2000


class Pairs(list):
    """A map in which anything may be a key, equal ones too."""


def pack(value: Any) -> bytes:
    """msgpack as its writer would refuse to write it: any map, and raw bytes as ``memoryview``."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        return msgpack.Packer().pack_map_header(len(value)) + b"".join(pack(key) + pack(item) for key, item in value)
    if isinstance(value, list):
        return msgpack.Packer().pack_array_header(len(value)) + b"".join(pack(item) for item in value)
    return msgpack.packb(value)


def metadata(parts: Any, **entries: Any) -> bytes:
    """A metadata part that begins as it should, with whatever behind."""
    body = {"parts": parts, **entries}
    return bytes([0x81 + len(body)]) + HEAD + b"".join(pack(key) + pack(item) for key, item in body.items())


def tag(letter: str) -> msgpack.ExtType:
    return msgpack.ExtType(2, letter.encode())


def tagged(letter: str, value: Any) -> Pairs:
    return Pairs([(tag(letter), value)])


def part(index: int) -> msgpack.ExtType:
    return msgpack.ExtType(1, index.to_bytes(4, "big"))


def tree(value: Any, *layouts: Any) -> bytes:
    """Metadata of a payload with a tree."""
    return metadata(list(layouts), tree=pack(value))


def survive(frames: Any, limits: npt.Limits = npt.Limits()) -> Any:  # noqa: B008
    """The invariant: a value, all of which can be touched, or a DecodeError. The value; or the error, to look into."""
    try:
        value = npt.decode(frames, limits=limits)
    except npt.DecodeError as error:
        check_error(error)
        return error
    touch(value, memory_of(frames), limits.max_items)
    return value


def memory_of(frames: Any) -> list[Any]:
    """Where the arrays of a message have to lie; nowhere if its buffers are cut, since they are copied then."""
    memory = [np.frombuffer(frame, "u1") for frame in frames]
    return [] if any(b"\xa3cut" in part.tobytes() for part in memory[:2]) else memory


def refusal(frames: Any, **options: Any) -> Any:
    """The error, where only an error will do."""
    error = survive(frames, **options)
    assert isinstance(error, npt.DecodeError), f"{error!r} came out"
    return error


def check_error(error: npt.DecodeError) -> None:
    """One that a person can read, and not one that hides a crash."""
    assert len(str(error)) < LONG_ENOUGH_FOR_A_MESSAGE, f"{len(str(error))} characters"
    behind: BaseException | None = error
    while behind is not None:
        assert not isinstance(behind, (MemoryError, RecursionError, SystemError, Warning)), repr(behind)
        behind = behind.__cause__ or behind.__context__


def touch(value: Any, parts: list[Any], room: int) -> int:
    """Looks at every value and every byte of every array. How much of ``room``, a count of values, is left."""
    room -= 1
    assert room > 0, "more values than max_items"
    if isinstance(value, dict):
        for key, item in value.items():
            hash(key)
            room = touch(item, parts, touch(key, parts, room))
    elif isinstance(value, (list, tuple)):
        for item in value:
            room = touch(item, parts, room)
    elif isinstance(value, np.ma.MaskedArray):
        touch_array(np.ma.getdata(value), parts)
        if np.ma.getmask(value) is not np.ma.nomask:
            touch_array(np.asarray(np.ma.getmask(value)), parts)
    elif isinstance(value, np.ndarray):
        touch_array(value, parts)
    elif isinstance(value, np.generic):
        np.asarray(value).tobytes()
    elif isinstance(value, str):
        value.encode()
    else:
        str(value) if not isinstance(value, int) else value.bit_length()
    return room


def touch_array(array: np.ndarray[Any, Any], parts: list[Any]) -> None:
    """Every byte of every field lies in a part, or in memory that is the array's own."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert owner.flags.owndata or not array.flags.writeable
    assert array.flags.aligned or not array.nbytes
    rooms = [span(owner)] if owner.flags.owndata else [span(part) for part in parts]
    if not parts and isinstance(owner.base, (bytes, memoryview)):  # whose parts had to be copied
        rooms.append(span(np.frombuffer(owner.base, "u1")))
    _touch_fields(array, rooms)


def _touch_fields(array: np.ndarray[Any, Any], rooms: list[tuple[int, int]]) -> None:
    low, high = span(array)
    assert low == high or any(start <= low and high <= end for start, end in rooms), "outside of its part"
    array.tobytes()
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _touch_fields(array[name], rooms)
    elif array.size <= 64 and max(array.shape, default=0) <= 64:
        _make_objects(array)


def _make_objects(array: np.ndarray[Any, Any]) -> None:
    """Python's texts and times, of all elements."""
    try:
        array.tolist()
    except OverflowError:  # what NumPy 2.5 says of times in multiples of a unit that go beyond the unit
        if array.dtype.kind not in "Mm" or np.datetime_data(array.dtype)[1] == 1:
            raise


def span(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Address of the first byte, and of the one behind the last."""
    low = high = array.__array_interface__["data"][0]
    if not array.nbytes:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        reach = (length - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + array.itemsize
