"""The sending half of a stream, without a socket: encode, number, stay within the budget of bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..codec.arrays import Buffer
from ..codec.cuts import cut_entry
from ..codec.encoder import Encoder
from ..codec.envelope import EnvelopeWriter
from ..codec.framing import around, join_frames, should_join
from ..codec.metadata import ALONE, BODY, with_entry
from ..limits import Limits
from ..memory.pool import SMALL, InFlight
from .handle import SendHandle
from .loan import check_loan

__all__ = ["Outbox"]

_REMEMBERED = 64  # layouts


class Outbox:
    """Messages on their way out, held to ``max_bytes``.

    Small messages are copied by libzmq and not heard of again; the high-water mark bounds them, to a quarter of
    ``max_bytes`` at the most. Large ones, above ``small`` bytes, are lent, and counted until they come back.
    """

    def __init__(
        self, limits: Limits, max_messages: int, max_bytes: int, on_release: Callable[[], None], small: int = SMALL
    ) -> None:
        self._limits = limits
        self._encoder = Encoder(limits)
        self.body_like_before = self._encoder.body_like_before
        """As that of :class:`Encoder`."""
        self._envelope = EnvelopeWriter(os.urandom(8).hex(), ALONE)
        self.metadata, self.start = self._envelope.metadata, self._envelope.start
        """As those of :class:`EnvelopeWriter`."""
        self.small = min(small, max_bytes // (4 * max_messages))
        """Bytes of content up to which a message is copied by libzmq."""
        self.in_flight = InFlight(max_bytes - self.small * max_messages, on_release)
        # For messages in one part: what stands before number and time, and between those and the array; their bytes.
        self._known: dict[bytes, tuple[bytes, bytes, int]] = {}
        self._last: tuple[Any, tuple[int, ...], bytes, bytes, int] = None, (), b"", b"", 0  # dtype and shape in front
        self._asked: tuple[Any, Any, Any] = None, None, None  # shape, dtype, and what check_loan made of them
        self.messages = 0
        self.nbytes = 0

    def pack(self, payload: Any, now: float) -> list[Buffer]:
        """Frames for the next message, sent ``now`` (seconds since 1970)."""
        return self._encoder.encode(payload, self._envelope.entry(now))

    def whole_like_before(self, array: np.ndarray[Any, Any], now: float) -> tuple[bytes, int] | None:
        """The next message in one part, and its bytes, if the small ``array`` can be sent as it stands and one like it
        was encoded."""
        dtype, shape, start, rest, nbytes = self._last
        if array.dtype is not dtype or array.shape != shape or not array.flags.c_contiguous:
            body = self.body_like_before(array)
            if body is None:
                return None
            known = self._known.get(body)
            if known is None:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                size = len(self.metadata(now, body))
                before, between = around(size, array.nbytes)
                known = self._known[body] = self._envelope.head(before), body + between, size + array.nbytes
            start, rest, nbytes = known
            self._last = array.dtype, array.shape, *known
        return self._envelope.whole(start, now, rest, array), nbytes

    def as_sent(self, frames: list[Buffer]) -> list[Buffer]:
        """``frames`` in one part, where that is the quicker way."""
        return [join_frames(frames)] if should_join(frames) else frames

    def check_loan(self, shape: Any, dtype: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        """As :func:`check_loan`; at once for what it was asked about last."""
        asked_shape, asked_dtype, asked = self._asked
        if dtype is asked_dtype and (shape is asked_shape or (_are_lengths(shape) and shape == asked_shape)):
            return asked
        checked = check_loan(shape, dtype, self._limits)
        if _are_lengths(shape) and _is_constant(dtype):
            self._asked = shape, dtype, checked
        return checked

    def cut(self, frames: list[Buffer]) -> None:
        """Say in the metadata of ``frames`` which of them :func:`cut` will cut."""
        entry = cut_entry(frames)
        if entry is not None:
            frames[0] = with_entry(frames[0], entry)

    def renew(self, frames: list[Buffer], now: float) -> None:
        """Time and number ``frames`` anew, which have waited for their turn."""
        frames[0] = self._envelope.renew(bytes(frames[0]), BODY, now)

    def is_small(self, frames: list[Buffer]) -> bool:
        if len(frames) == 2:
            return len(frames[1]) <= self.small
        return len(frames) == 1 or sum(map(len, frames)) <= self.small

    def has_room(self, frames: list[Buffer]) -> bool:
        return self.in_flight.has_room(sum(map(len, frames)))

    def is_warm(self, frames: list[Buffer], waits: int) -> bool:
        """Whether copies of ``frames``, for which there have been ``waits``, should wait no more for warm buffers."""
        return self.in_flight.is_warm(max(map(len, frames[1:])), waits)

    def stage(self, frames: list[Buffer], handle: SendHandle | None) -> list[Buffer]:
        """What to send for ``frames``, with views to lend where they are large, and for the largest in any case:
        on the caller's memory if there is a ``handle``, else on warm copies. One of them is counted for the rest."""
        staged, unlent = list(frames), sum(map(len, frames))
        chosen = [index for index in range(1, len(frames)) if len(frames[index]) > SMALL]
        if not chosen:
            # The last of the largest: libzmq never frees what it has of a message whose receiver leaves in the middle.
            chosen = [max(range(1, len(frames)), key=lambda index: (len(frames[index]), index))]
        unlent -= sum(len(frames[index]) for index in chosen)
        for index in chosen:
            frame, weight = frames[index], len(frames[index]) + unlent
            if handle is None:
                staged[index] = self.in_flight.copy(frame, weight)
            else:
                staged[index] = self.in_flight.lend(frame, weight, handle.expect())
            unlent = 0
        return staged

    def count(self, nbytes: int) -> None:
        """A message of that size is on its way."""
        self._envelope.sequence += 1
        self.messages += 1
        self.nbytes += nbytes


def _are_lengths(shape: Any) -> bool:
    """Whether ``shape`` is one in plain numbers, as most are, and not something else that is equal to one."""
    if type(shape) is not tuple:
        return type(shape) is int
    for length in shape:  # noqa: SIM110 - a generator takes three times as long
        if type(length) is not int:
            return False
    return True


def _is_constant(dtype: Any) -> bool:
    """Whether ``dtype`` means the same whenever it is asked about."""
    if isinstance(dtype, type):
        return issubclass(dtype, (np.generic, int, float, complex))
    return isinstance(dtype, (np.dtype, str))
