"""payload ↔ frames, as the package offers it (encoder.py, decoder.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..limits import DEFAULT_LIMITS, Limits
from .arrays import Buffer
from .decoder import BareDecoder, Decoder
from .encoder import Encoder

__all__ = ["decode", "decoder_for", "encode"]

_default_encoder = Encoder()
_default_decoder = BareDecoder()


def decoder_for(limits: Limits) -> Decoder:
    """One that may have decoded others before."""
    return _default_decoder if limits is DEFAULT_LIMITS else BareDecoder(limits)


def encode(payload: Any, *, limits: Limits = DEFAULT_LIMITS) -> list[Buffer]:
    """Frames for ``payload``: ``[metadata, buffer, ...]``, ready for ``socket.send_multipart``.

    Args:
        payload: an array of any dtype but object, or any nest of dict, list, tuple, str, bytes, int, float, bool, None
            and datetime with arrays and NumPy scalars. What exports the buffer protocol, ``__array_interface__`` or
            DLPack on the CPU is sent as an array; subclasses of ndarray but MaskedArray arrive as plain arrays, record
            arrays as structured ones, ``np.ma.masked`` as a masked array of one element; a timezone's
            offset travels, not a name that it was given.
        limits: what the receiver accepts; refused here already.

    Returns:
        The metadata as bytes and one buffer an array, flat and in the array's memory order: the array's own memory
        if it is C or Fortran contiguous, else a copy.

    Raises:
        EncodeError: something in it cannot travel; ``path`` says where it is.
    """
    return (_default_encoder if limits is DEFAULT_LIMITS else Encoder(limits)).encode(payload)


def decode(frames: Sequence[Any], *, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The payload of ``frames``, with a topic part before the metadata or without; or of one blob, as small ones come.

    Arrays are read-only views on the frames, which they keep alive; only one whose memory is not aligned for its dtype
    is copied, and those of variable-width strings.

    Args:
        frames: bytes, memoryviews, zmq.Frames or anything else with the buffer protocol.
        limits: what is accepted.

    Raises:
        DecodeError: whatever is wrong with them (LimitExceeded if they are more than ``limits`` accept).
    """
    return decoder_for(limits).decode(frames)
