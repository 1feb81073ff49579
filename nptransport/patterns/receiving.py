"""Taking messages off a channel, part by part, without building anything from them yet."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import numpy as np

from ..codec.cuts import join
from ..codec.decoder import Decoder
from ..codec.descriptor import MOST_PIECES
from ..codec.envelope import Envelope
from ..codec.plan import Plan
from ..errors import DecodeError
from ..limits import Limits
from ..memory.allocator import keep_freed_memory
from ..memory.leases import Lease, Leases
from ..shm.borrowing import Borrower
from ..transport.channel import Channel, check_positive
from .endpoint import Endpoint

__all__ = ["SMALL", "Letter", "Received", "Receiving", "copy_into", "messages_within"]

# Below this, bytes are the cheaper and always aligned way to take a part from libzmq.
SMALL = 32 * 1024
_POOL = 2**28  # bytes of buffers that are kept for what comes in parts: an array of 128 MB that is read, and the next


Received = tuple[Any, str | None, Envelope | None, int]
"""Payload, topic, envelope and bytes of a message that was opened."""


class Letter(NamedTuple):
    """A message that is all there, and not opened."""

    plan: Plan
    parts: list[Any]
    topic: str | None
    envelope: Envelope | None
    nbytes: int


class Receiving(Endpoint):
    """What all endpoints that receive have in common."""

    _decoder: Decoder
    _warm: Leases | None = None
    """Buffers for what comes in parts, once some has come."""

    def _set_up_receiving(self, channel: Channel, limits: Limits, number: bytes = bytes(8)) -> None:
        self._channel = channel
        self._decoder = Decoder(limits)
        self._borrower = Borrower(str(channel), channel.folders, number, channel.lanes) if channel.folders else None

    def _stop_borrowing(self) -> None:
        """Nothing is received any more; what has been stays valid."""
        if self._borrower is not None:
            self._borrower.close()

    def _skipped(self, error: DecodeError) -> None:
        """Say that a message which cannot be decoded is passed over."""
        self._channel.complaints.say("%s: skipped a message: %s", self._channel, error)

    def _collect(self, metadata: bytes, topic: str | None, nbytes: int, buffer: bytes | None = None) -> Letter:
        """The rest of the message, as its ``metadata`` says that it is; ``nbytes`` have come before, and ``buffer``.

        DecodeError if that cannot be read; what there is of the message is for the caller to drop.
        """
        channel = self._channel
        try:
            plan, envelope, shared = self._decoder.open(metadata)
        except DecodeError:
            self._disown(metadata)
            raise
        if plan.cut is not None:
            if shared is not None:
                self._disown(metadata)
                raise DecodeError.of("message", expected="buffers that are cut, or lie elsewhere", found="both")
            parts: list[Any] = self._collect_cut(plan, plan.cut, buffer)
        elif shared is not None:
            parts = self._collect_shared(plan, shared, buffer)
        elif buffer is not None:
            parts = [buffer]
            if channel.more:
                parts += channel.take(0, True)
        elif plan.alone is not None and plan.nbytes <= SMALL and channel.more:  # as most messages are
            parts = [channel.take_one()]
            if channel.more:
                parts += channel.take(0, True)
        else:
            small = plan.nbytes <= SMALL
            if not small:
                keep_freed_memory()
            parts = channel.take(len(plan.layouts), small)
        nbytes += len(metadata) + (plan.nbytes if plan.alone else sum(map(len, parts)))
        return Letter(plan, parts, topic, envelope, nbytes)

    def _collect_cut(self, plan: Plan, cut: list[int], buffer: bytes | None) -> list[Any]:
        """All buffers of a message some of which are cut: each of those in warm memory of ours."""
        channel = self._channel
        if buffer is not None:
            return join([buffer, *channel.take(0, True)], cut)
        if self._warm is None:
            keep_freed_memory()
            self._warm = Leases(_POOL)
        buffers: list[Any] = []
        for layout, count in zip(plan.layouts, cut, strict=True):
            if count > 1 and layout.nbytes is not None:
                try:
                    into = self._warm.lease(layout.nbytes)
                except MemoryError:
                    raise DecodeError.of(
                        "message", expected="what there is memory for", found=f"{layout.nbytes} bytes"
                    ) from None
                buffers.append(self._paste(into, count))
                continue
            frames = [frame for _ in range(count) if (frame := channel.take_frame()) is not None]
            buffers += join(frames, [count])
        if channel.more:
            raise DecodeError.of("message", expected=f"{plan.count} parts", found="more")
        return buffers

    def _paste(self, into: Lease, count: int) -> Lease:
        """The next ``count`` parts, one behind the other."""
        at = 0
        for _ in range(count):
            frame = self._channel.take_frame()
            if frame is None or at + len(frame) > len(into):
                break
            into[at : at + len(frame)] = np.frombuffer(frame.buffer, np.uint8)  # of which the memory is free again now
            at += len(frame)
        else:
            if at == len(into):
                return into
        found = f"{at} bytes" if frame is None else f"{at + len(frame)} or more"
        raise DecodeError.of("message", expected=f"{len(into)} bytes in {count} parts", found=found)

    def _disown(self, metadata: bytes) -> None:
        """Let go of what lies in shared memory of a message that is not accepted, or its sender would wait for that."""
        shared = self._decoder.shared_in(metadata)
        if shared is not None and self._borrower is not None:
            with contextlib.suppress(DecodeError):
                self._borrower.open(shared, MOST_PIECES)

    def _collect_shared(self, plan: Plan, shared: bytes, buffer: bytes | None) -> list[Any]:
        """All parts of a message, some of which lie in shared memory."""
        if self._borrower is None:
            raise DecodeError.of(
                "message", expected="its parts", found="a descriptor of shared memory", hint="use shm:// on both sides"
            )
        lent = self._borrower.open(shared, len(plan.layouts))
        # A part too many, or too few, is for the plan to refuse.
        parts = self._channel.take(len(plan.layouts) - len(lent), plan.nbytes <= SMALL) if self._channel.more else []
        if buffer is not None:
            parts.insert(0, buffer)
        for index, content in lent:
            parts.insert(index, content)
        return parts


def messages_within(max_messages: int, max_bytes: int | None, limits: Limits) -> int:
    """High-water mark for ``max_messages``, and for ``max_bytes`` of the largest messages that ``limits`` accept."""
    check_positive(max_messages=max_messages)
    if max_bytes is None:
        return max_messages
    check_positive(max_bytes=max_bytes)
    return min(max_messages, max(1, int(max_bytes) // limits.max_total_bytes))


def copy_into(out: np.ndarray[Any, Any], payload: Any) -> None:
    """Copy ``payload`` into ``out``; DecodeError if it does not fit."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out: expected a NumPy array, found {type(out).__name__}")
    fits = type(payload) is np.ndarray and payload.shape == out.shape and payload.dtype == out.dtype
    if not fits or not out.flags.writeable:
        found = f"{payload.dtype} {list(payload.shape)}" if isinstance(payload, np.ndarray) else type(payload).__name__
        raise DecodeError.of(
            "message",
            expected=f"a writable {out.dtype} {list(out.shape)} as out asks for",
            found=found,
            hint="it is kept: the next recv() gives it",
        )
    np.copyto(out, payload)
