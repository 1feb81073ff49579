"""payload → frames: the metadata part, and one part an array.

An encoder remembers what it made of the last dtypes and shapes: a stream of equal arrays is described once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import EncodeError, LimitExceeded
from ..limits import DEFAULT_LIMITS, Limits
from . import packing
from .arrays import Buffer, describe_array
from .cuts import slices
from .metadata import ALONE, ALONE_BARE, entry, map_of, with_entry
from .tree import Lowering

__all__ = ["Encoder", "cut_frames"]

_REMEMBERED = 64  # layouts: streams repeat few


class Encoder:
    """Turns payloads into frames within ``limits``."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._known: dict[tuple[np.dtype[Any], tuple[int, ...]], bytes] = {}
        self._last: tuple[np.dtype[Any] | None, tuple[int, ...], bytes | None] = (None, (), None)

    def encode(self, payload: Any, envelope: bytes = b"") -> list[Buffer]:
        """``[metadata, buffer, ...]``, the buffers being the arrays' own memory wherever that is contiguous.

        ``envelope`` is one more entry for the metadata, packed. EncodeError for what cannot travel.
        """
        if type(payload) is np.ndarray and payload.flags.c_contiguous:
            body = self._known.get((payload.dtype, payload.shape))
            if body is not None:
                return [(ALONE if envelope else ALONE_BARE) + envelope + body, payload.data.cast("B")]
        try:
            return self._encode_new(payload, envelope)
        except EncodeError as error:
            raise EncodeError.at(f"payload{error.path}", error.reason) from error.__cause__
        except Exception as error:  # what an exporter, or a nest beyond Python's own recursion limit, may raise
            raise EncodeError.at("payload", f"{type(error).__name__}: {error}") from error

    def body_like_before(self, array: np.ndarray[Any, Any]) -> bytes | None:
        """The entries behind the envelope for an array that can be lent as it stands, if one like it was encoded."""
        if not array.flags.c_contiguous:
            return None
        dtype, shape, body = self._last
        if array.dtype is not dtype or array.shape != shape:  # to find it by its hash takes as long as all the rest
            body = self._known.get((array.dtype, array.shape))
            if body is not None and array.dtype.names is None:  # names can be changed
                self._last = array.dtype, array.shape, body
        return body

    def alone_like_before(self, payload: Any) -> list[Any] | None:
        """Metadata and the array, without an envelope, if it can be lent as it stands and one like it was encoded."""
        if type(payload) is np.ndarray and payload.flags.c_contiguous:
            body = self._known.get((payload.dtype, payload.shape))
            if body is not None:
                return [ALONE_BARE + body, payload]
        return None

    def _encode_new(self, payload: Any, envelope: bytes) -> list[Buffer]:
        alone = isinstance(payload, np.ndarray) and not isinstance(payload, np.ma.MaskedArray)
        if alone:
            layout, buffer = describe_array(payload, self.limits)
            buffers, body = [buffer], entry("parts", [layout])
        else:
            lowering = Lowering(self.limits)
            tree = packing.pack(lowering.lower(payload, self.limits.max_nesting))
            self._check_document(tree, extensions=True)
            buffers, body = lowering.buffers, entry("parts", lowering.layouts) + entry("tree", tree)
        metadata = map_of(1 + bool(envelope) + (1 if alone else 2)) + envelope + body
        self._check_size("max_metadata_bytes", len(metadata))
        self._check_document(metadata, extensions=False)
        self._check_size("max_total_bytes", len(metadata) + sum(map(len, buffers)))
        if alone and _lends_itself(payload):
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[payload.dtype, payload.shape] = body
        return [metadata, *buffers]

    def _check_document(self, document: bytes, *, extensions: bool) -> None:
        try:
            packing.measure(document, self.limits, extensions=extensions)
        except LimitExceeded as error:
            raise EncodeError.at("", f"{error}. Long lists of numbers belong in an array") from None

    def _check_size(self, limit: str, size: int) -> None:
        allowed = getattr(self.limits, limit)
        if size > allowed:
            raise EncodeError.at("", f"{LimitExceeded.over(limit, allowed, size)}")


def _lends_itself(array: np.ndarray[Any, Any]) -> bool:
    """Whether ``array.data`` works, and any array of equal dtype and shape has the same layout.

    Not so the structured dtypes: equal ones may differ in alignment. Nor booleans, whose bytes have to be looked at.
    """
    dtype = array.dtype
    return bool(array.flags.c_contiguous and array.nbytes and dtype.kind in "iufc" and dtype.isbuiltin == 1)


def cut_frames(frames: list[Buffer], *, bare: bool = False) -> list[Buffer]:
    """``frames`` with each large buffer in parts, and with metadata that says so; as they are if none is large."""
    cut, parts = slices(frames[1:])
    return frames if cut is None else [with_entry(frames[0], cut, bare=bare), *parts]
