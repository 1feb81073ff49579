"""frames → payload, whatever the bytes are: a value or a DecodeError.

A decoder remembers what it made of the last metadata: in a stream of equal arrays that is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DecodeError, LimitExceeded
from ..limits import DEFAULT_LIMITS, Limits
from . import packing
from .arrays import Buffer
from .descriptor import KEY, split_entry
from .envelope import Envelope, EnvelopeReader, read_envelope
from .framing import is_blob, split_blob
from .metadata import BODY, HEAD, VERSION, is_topic, read_topic
from .plan import Plan, read_only, unforeseen

__all__ = ["BareDecoder", "Decoder"]

# Streams repeat few layouts; a peer that never repeats one cannot fill memory with them.
_REMEMBERED = 64
_REMEMBERED_BYTES = 1024


class Decoder:
    """Turns frames into payloads within ``limits``. Whatever the bytes are: a value or a DecodeError."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._known: dict[bytes, Plan] = {}
        self._envelopes = EnvelopeReader(HEAD)

    def decode(self, frames: Sequence[Any]) -> Any:
        """The payload of ``[topic?, metadata, buffer, ...]``, or of ``[blob]``."""
        if not isinstance(frames, (list, tuple)) or not frames:
            found = f"{type(frames).__name__} of {len(frames)}" if hasattr(frames, "__len__") else repr(frames)[:40]
            raise DecodeError.of("message", expected="a list of frames", found=found, hint="for a blob call loads")
        try:
            first, parts = read_only(frames[0]), frames[1:]
            if not parts and is_blob(first):
                return self.decode_blob(first)
            if is_topic(first):
                read_topic(first)
                if not parts:
                    raise DecodeError.of("message", expected="metadata", found=f"{bytes(first[:24])!r}")
                first, parts = read_only(parts[0]), parts[1:]
        except DecodeError:
            raise
        except Exception as error:
            raise unforeseen(error) from error
        plan, _ = self.plan(first)
        return plan.payload(plan.join(parts))

    def decode_blob(self, blob: Buffer) -> Any:
        """The payload of a message in one part."""
        _, plan, _, parts = self.open_blob(blob)
        return plan.payload(plan.join(parts))

    def open_blob(self, blob: Buffer) -> tuple[bytes, Plan, Envelope | None, list[memoryview]]:
        """Metadata of a message in one part, what that says, who sent it, and the other parts that are in it."""
        frames = split_blob(blob, self.limits)
        if not frames:
            raise DecodeError.of("blob", expected="metadata", found="no frames")
        if len(frames[0]) > self.limits.max_metadata_bytes:
            raise LimitExceeded.over("max_metadata_bytes", self.limits.max_metadata_bytes, len(frames[0]))
        metadata = bytes(frames[0])
        plan, envelope, shared = self.open(metadata)
        if shared is not None:
            raise DecodeError.of("blob", expected="all buffers of a message", found="a descriptor of shared memory")
        return metadata, plan, envelope, frames[1:]

    def plan(self, metadata: Buffer) -> tuple[Plan, Envelope | None]:
        """What ``metadata`` says of the parts to come, and who sent it."""
        return self.open(metadata)[:2]

    def open(self, metadata: Buffer) -> tuple[Plan, Envelope | None, bytes | None]:
        """As :meth:`plan`, and the descriptor of those parts that lie in shared memory and are not to come."""
        if type(metadata) is bytes:
            envelope, rest = self._envelopes.split(metadata)
            plan = self._known.get(rest)
            if plan is not None and envelope is not None and plan.entries == metadata[0] - 1:
                return plan, envelope, None
            if envelope is not None:
                shared, rest = split_entry(rest)
                plan = self._known.get(rest)
                if plan is not None and shared is not None and plan.entries == metadata[0] - 2:
                    return plan, envelope, shared
        try:
            return self._open(metadata)
        except DecodeError:
            raise
        except Exception as error:
            raise unforeseen(error) from error

    def shared_in(self, metadata: bytes) -> bytes | None:
        """The descriptor in ``metadata`` that may be malformed, if it stands where our encoder writes it."""
        return split_entry(self._envelopes.split(metadata)[1])[0]

    def _open(self, metadata: Buffer) -> tuple[Plan, Envelope | None, bytes | None]:
        if len(metadata) > self.limits.max_metadata_bytes:
            raise LimitExceeded.over("max_metadata_bytes", self.limits.max_metadata_bytes, len(metadata))
        metadata = bytes(metadata)
        if not metadata or not 0x80 <= metadata[0] <= 0x8F:
            raise DecodeError.of("metadata", expected="a map", found=f"{metadata[:24]!r}")
        envelope, rest = self._envelopes.split(metadata)
        shared, rest = split_entry(rest)
        entries = metadata[0] - (envelope is not None) - (shared is not None)
        plan = self._known.get(rest)
        if plan is not None and plan.entries == entries and metadata.startswith(HEAD, 1):
            return plan, envelope, shared
        if not metadata.startswith(HEAD[:-1], 1):
            hint = "nothing goes with a blob" if is_blob(metadata) else ""
            raise DecodeError.of(
                "metadata", expected="a map whose first key is npt", found=f"{metadata[:24]!r}", hint=hint
            )
        values = packing.unpack(metadata, self.limits)
        version = values["npt"]
        if type(version) is not int or version != VERSION:
            raise DecodeError.of(
                "format version", expected=f"{VERSION}", found=f"{version!r:.40}", hint="use one release on both sides"
            )
        plan = Plan(values, entries, len(metadata), self.limits)
        apart = shared
        if apart is None and KEY in values:
            apart = values[KEY]
            if not isinstance(apart, bytes):
                raise DecodeError.of(KEY, expected="bytes", found=type(apart).__name__)
        if envelope is None and "envelope" in values:
            return plan, read_envelope(values["envelope"]), apart
        if apart is not shared:
            return plan, envelope, apart
        if len(rest) <= _REMEMBERED_BYTES:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[rest] = plan
        return plan, envelope, shared


class BareDecoder(Decoder):
    """As :class:`Decoder`, and quicker where messages have no envelope."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._bare: dict[Buffer, Plan] = {}
        self.known_bare = self._bare.get
        """The plan for metadata that was opened before, and has neither envelope nor descriptor; else None."""

    def open(self, metadata: Buffer) -> tuple[Plan, Envelope | None, bytes | None]:
        if type(metadata) is bytes:
            plan = self._bare.get(metadata)
            if plan is not None:
                return plan, None, None
            shared, rest = split_entry(metadata[BODY:])
            plan = self._known.get(rest)
            known = shared is not None and plan is not None and plan.entries == metadata[0] - 1
            if known and metadata.startswith(HEAD, 1):
                return plan, None, shared  # type: ignore[return-value]
        plan, envelope, shared = super().open(metadata)
        if envelope is None and shared is None and type(metadata) is bytes and len(metadata) <= _REMEMBERED_BYTES:
            if len(self._bare) >= _REMEMBERED:
                self._bare.clear()
            self._bare[metadata] = plan
        return plan, envelope, shared
