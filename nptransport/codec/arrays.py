"""Array ↔ layout and part: ``[dtype, shape]`` or ``[dtype, shape, "F"]`` beside the raw bytes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..errors import DecodeError, EncodeError, LimitExceeded
from ..limits import Limits
from . import dtypes, elements, strings

__all__ = ["Layout", "as_array", "describe_array", "flat_bytes", "writable"]

Buffer = bytes | memoryview
Order = Literal["C", "F"]
_BYTE = np.dtype("u1")

# DLDeviceType of dlpack.h: what NumPy reads (the CPU's memory, and that which CUDA and ROCm share with it), and others.
_READABLE = {1, 3, 11, 13}
_DEVICES = {2: "cuda", 4: "opencl", 7: "vulkan", 8: "metal", 10: "rocm", 14: "oneapi"}


class Layout:
    """What a receiver has to know to rebuild one array from its part, checked once and used for many parts."""

    __slots__ = ("count", "dtype", "mirror", "nbytes", "order", "shape")

    def __init__(self, descriptor: Any, limits: Limits) -> None:
        if not isinstance(descriptor, list) or not 2 <= len(descriptor) <= 3:
            raise DecodeError.of("layout", expected="[dtype, shape, order?]", found=f"{descriptor!r:.60}")
        dtype, shape, self.order = descriptor if len(descriptor) == 3 else [*descriptor, "C"]
        if self.order not in ("C", "F"):
            raise DecodeError.of("order", expected="C or F", found=f"{self.order!r:.60}")
        self.count = dtypes.check_shape(shape, limits)
        self.shape = tuple(shape)
        self.dtype: np.dtype[Any]
        self.nbytes: int | None
        if isinstance(dtype, dict) and "string" in dtype:
            self.dtype, self.nbytes = strings.rebuild_string_dtype(dtype), None  # the part itself tells
        else:
            self.dtype = dtypes.rebuild(dtype, limits)
            self.nbytes = self.count * self.dtype.itemsize
            if self.dtype.names is not None:
                # NumPy makes such an array, and fails once somebody asks for the field.
                dimensions = len(shape) + dtypes.inner_dimensions(self.dtype)
                dtypes.check_dimensions(dimensions, limits)
            if not self.dtype.itemsize and self.count > limits.max_items:
                raise LimitExceeded.over("max_items", limits.max_items, f"{self.count} elements of 0 bytes")
        self.mirror = elements.mirror(self.dtype)

    def build(self, part: Buffer, copy: bool = False) -> np.ndarray[Any, Any]:
        """Read-only array over ``part``, or with ``copy`` one of its own that may be written to.

        Copies by itself only a part whose memory is not aligned for the dtype. DecodeError unless the part has the
        layout's length to the byte.
        """
        if self.nbytes is None:
            flat = strings.split_strings(memoryview(part), self.dtype, self.count)
            array = np.array(flat.reshape(self.shape), order=self.order)
        elif len(part) != self.nbytes:
            raise DecodeError.of(
                "part", expected=f"{self.nbytes} bytes for {self.dtype} {list(self.shape)}", found=f"{len(part)}"
            )
        elif not self.nbytes:
            array = self._empty()
        else:
            flat = np.frombuffer(part, self.dtype)
            if self.mirror is not None:
                elements.check_elements(flat.view(self.mirror))
            if not copy and flat.flags.aligned:
                if len(self.shape) == 1:
                    return flat
                return flat.reshape(self.shape) if self.order == "C" else flat.reshape(self.shape, order="F")
            array = flat.copy().reshape(self.shape, order=self.order)
        array.flags.writeable = copy
        return array

    def _empty(self) -> np.ndarray[Any, Any]:
        try:
            return np.empty(self.shape, self.dtype, self.order)
        except ValueError as error:  # lengths beside a 0 whose product NumPy cannot hold
            raise DecodeError.of("shape", expected="one that NumPy takes", found=f"{error}") from None


def describe_array(array: np.ndarray[Any, Any], limits: Limits, others: int = 0) -> tuple[list[Any], Buffer]:
    """Layout as it goes into the metadata, and the bytes of the part: the array's own memory if it is contiguous.

    ``others``: bytes of the other parts so far. EncodeError before anything is copied that is too large with them.
    """
    dimensions = array.ndim + (dtypes.inner_dimensions(array.dtype) if array.dtype.names is not None else 0)
    if dimensions > limits.max_dimensions:
        raise EncodeError.at("", f"{dimensions} dimensions, at most {limits.max_dimensions} (Limits.max_dimensions)")
    order = memory_order(array)
    shape = list(array.shape)
    is_string = strings.is_string_dtype(array.dtype)
    nbytes = others + (strings.least_bytes(array) if is_string else array.nbytes)
    if nbytes > limits.max_total_bytes:
        raise EncodeError.at("", f"{LimitExceeded.over('max_total_bytes', limits.max_total_bytes, nbytes)}")
    if is_string:
        descriptor: Any = strings.describe_strings(array.dtype)
        buffer: Buffer = strings.join_strings(array)
    else:
        descriptor, buffer = dtypes.describe(array.dtype, limits), flat_bytes(array, order)
        _refuse_invalid(buffer, array.dtype)
        if array.size > limits.max_items and not array.itemsize:
            raise EncodeError.at("", f"{array.size} elements of 0 bytes, at most {limits.max_items} (Limits.max_items)")
    return ([descriptor, shape, "F"] if order == "F" else [descriptor, shape]), buffer


def _refuse_invalid(buffer: Buffer, dtype: np.dtype[Any]) -> None:
    """EncodeError for elements that a receiver would refuse: what is wrong is here, and so is who can mend it."""
    mirror = elements.mirror(dtype)
    if mirror is not None and len(buffer):
        try:
            elements.check_elements(np.frombuffer(buffer, dtype).view(mirror))
        except DecodeError as error:
            raise EncodeError.at("", f"{error}: no value of dtype {dtype}; look for a view of other bytes") from None


def memory_order(array: np.ndarray[Any, Any]) -> Order:
    """``"F"`` for Fortran order and for slices of it, else ``"C"``."""
    flags = array.flags
    if flags.c_contiguous:
        return "C"
    if flags.f_contiguous:
        return "F"
    strides = [abs(stride) for stride, length in zip(array.strides, array.shape, strict=True) if length > 1]
    return "F" if len(strides) > 1 and strides[0] > 0 and strides == sorted(strides) else "C"


def flat_bytes(array: np.ndarray[Any, Any], order: Order) -> Buffer:
    """The elements in ``order`` as bytes: a view on the array's memory wherever that lies in one piece."""
    if not array.nbytes:
        return b""
    plain = array.view(np.ndarray)
    if not (plain.flags.c_contiguous or plain.flags.f_contiguous):
        plain = plain.copy(order)
    flat: np.ndarray[Any, Any] = plain.reshape((-1,), order=order)
    return flat.view(_BYTE).data


def as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """``value`` as an array that shares its memory, or None if it does not offer any.

    Takes what exports the buffer protocol, ``__array_interface__`` or DLPack on the CPU. EncodeError for what lies in
    the memory of another device.
    """
    if isinstance(value, np.ndarray):
        return value
    try:
        return np.asarray(memoryview(value))
    except (TypeError, ValueError, NotImplementedError, BufferError):
        pass  # no buffer, none on the CPU, or one in a format that NumPy does not read
    if hasattr(value, "__array_interface__"):
        return np.asarray(value)
    _check_device(value)
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except Exception as error:  # each library raises its own: on another device, requires grad, no such dtype
            if hasattr(value, "__array__"):
                return _from_array_method(value, error)
            raise EncodeError.at("", f"{type(value).__name__}: {error}") from error
    return None


def _check_device(value: Any) -> None:
    """EncodeError if ``value`` says that it lies where the CPU cannot read it."""
    try:
        if hasattr(value, "__dlpack_device__"):
            kind, index = map(int, value.__dlpack_device__())
            where = None if kind in _READABLE else f"{_DEVICES.get(kind, f'device type {kind}')}:{index}"
        else:
            where = "cuda" if hasattr(value, "__cuda_array_interface__") else None
    except Exception:  # noqa: BLE001 - as below, any library's own; what it is, shows when it is read
        return
    if where is not None:
        raise EncodeError.at(
            "",
            f"{type(value).__name__} lies in the memory of {where}; copy it to the CPU first "
            "(PyTorch: value.cpu(), JAX: jax.device_get(value), CuPy: value.get())",
        )


def _from_array_method(value: Any, refusal: Exception) -> np.ndarray[Any, Any]:
    """JAX's bfloat16, say, which DLPack names but NumPy's reader of DLPack does not know."""
    try:
        return np.asarray(value)
    except Exception:  # noqa: BLE001 - as above, any library's own
        raise EncodeError.at("", f"{type(value).__name__}: {refusal}") from refusal


def writable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array if it may be written to, else a copy that is the caller's own, in the same memory order."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected a NumPy array, found {type(array).__name__}; of nested data, give each array")
    return array if array.flags.writeable else array.copy(order="K")
