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
        payload: an array of any dtype but object, or nested data: dict, list, tuple, str, bytes, int, float, bool, None
            and datetime, with arrays and NumPy scalars in it. What exports the buffer protocol,
            ``__array_interface__`` or DLPack on the CPU is sent as an array. Subclasses of ndarray other than
            MaskedArray arrive as plain arrays, record arrays as structured ones, ``np.ma.masked`` as a masked array of
            one element; a timezone with an IANA name keeps that, of others the offset stays.
        limits: those of the receiver, or stricter; what exceeds them is refused.

    Returns:
        The metadata as bytes and one buffer for each array, flat and in the array's memory order: the array's own
        memory if it is C or Fortran contiguous, else a copy.

    Raises:
        EncodeError: something in it cannot travel; ``path`` says where it is.
    """
    return (_default_encoder if limits is DEFAULT_LIMITS else Encoder(limits)).encode(payload)


def decode(frames: Sequence[Any], *, limits: Limits = DEFAULT_LIMITS) -> Any:
    """The payload of ``frames``, with or without a topic before the metadata; or of one blob, as small messages arrive.

    Arrays are read-only views on the frames, which they keep alive; only arrays whose memory is not aligned for their
    dtype are copied, and those of variable-width strings.

    Args:
        frames: bytes, memoryviews, zmq.Frames or anything else with the buffer protocol.
        limits: bounds on the message.

    Raises:
        DecodeError: they are no message, or a damaged one; LimitExceeded if it exceeds ``limits``.
    """
    return decoder_for(limits).decode(frames)
