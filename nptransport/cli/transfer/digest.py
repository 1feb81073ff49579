"""The fingerprint of an array that both ends take, of what was read there and of what was written here."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.lib import format as npy

from .npyheader import Header

__all__ = ["Digest", "flat_bytes"]

_BYTE = np.dtype("u1")


class Digest:
    """blake2b over the bytes of an array as they come, then over its dtype, shape and memory order."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=32)

    def update(self, flat: memoryview) -> None:
        self._hash.update(flat)

    def hexdigest(self, header: Header) -> str:
        whole = self._hash.copy()
        whole.update(repr((npy.dtype_to_descr(header.dtype), header.shape, header.order)).encode())
        return whole.hexdigest()


def flat_bytes(array: np.ndarray[Any, Any], order: str) -> memoryview:
    """The elements in ``order`` as bytes; the array's own memory if it lies that way."""
    if not array.nbytes:
        return memoryview(b"")
    flat = array.view(np.ndarray).reshape((-1,), order="F" if order == "F" else "C")
    return flat.view(_BYTE).data
