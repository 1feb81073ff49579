"""payload ↔ frames: the metadata part and one part an array.

The metadata part is a msgpack map:

    npt        1, the version of the format; always the first key
    envelope   [source, sequence, sent_at], where an endpoint sent the message
    shared     where buffers lie that are not in the message (see descriptor.py)
    parts      a layout for each buffer that follows
    cut        into how many parts each of them is cut, where one is
    tree       the rest of the payload (see tree.py); absent where the payload is the one array

Encoder and Decoder remember what they made of the last shapes and dtypes: a stream of equal arrays is described once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import packing
from .arrays import Buffer, describe_array
from .cuts import join, read_cut, slices
from .descriptor import KEY, split_entry
from .envelope import ENTRY_SIZE, Envelope, EnvelopeReader, read_envelope
from .errors import DecodeError, EncodeError, LimitExceeded
from .framing import is_blob, split_blob
from .limits import DEFAULT_LIMITS, Limits
from .tree import Lowering, lift, read_layout

__all__ = [
    "BareDecoder",
    "Decoder",
    "Encoder",
    "Plan",
    "cut_frames",
    "decode",
    "decoder_for",
    "encode",
    "is_topic",
    "read_topic",
    "with_entry",
    "without_shared",
]

VERSION = 1
HEAD = packing.pack("npt") + packing.pack(VERSION)  # stands behind the first byte of every metadata part
ALONE = b"\x83" + HEAD  # begins the metadata of one array with an envelope
_ALONE_BARE = b"\x82" + HEAD  # and of one without
BODY = 1 + len(HEAD)  # where the entries begin, that of the envelope first
_MAPS = [bytes([0x80 | entries]) for entries in range(16)]

# Streams repeat few layouts; a peer that never repeats one cannot fill memory with them.
_REMEMBERED = 64
_REMEMBERED_BYTES = 1024


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
                return [(ALONE if envelope else _ALONE_BARE) + envelope + body, payload.data.cast("B")]
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
                return [_ALONE_BARE + body, payload]
        return None

    def _encode_new(self, payload: Any, envelope: bytes) -> list[Buffer]:
        alone = isinstance(payload, np.ndarray) and not isinstance(payload, np.ma.MaskedArray)
        if alone:
            layout, buffer = describe_array(payload, self.limits)
            buffers, body = [buffer], _entry("parts", [layout])
        else:
            lowering = Lowering(self.limits)
            tree = packing.pack(lowering.lower(payload, self.limits.max_nesting))
            self._check_document(tree, extensions=True)
            buffers, body = lowering.buffers, _entry("parts", lowering.layouts) + _entry("tree", tree)
        metadata = _MAPS[1 + bool(envelope) + (1 if alone else 2)] + HEAD + envelope + body
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
            first, parts = _read_only(frames[0]), frames[1:]
            if not parts and is_blob(first):
                return self.decode_blob(first)
            if is_topic(first):
                read_topic(first)
                if not parts:
                    raise DecodeError.of("message", expected="metadata", found=f"{bytes(first[:24])!r}")
                first, parts = _read_only(parts[0]), parts[1:]
        except DecodeError:
            raise
        except Exception as error:
            raise _unforeseen(error) from error
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
            raise _unforeseen(error) from error

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


class Plan:
    """What a metadata part, but for its envelope, says of the parts to come."""

    __slots__ = ("_room", "alone", "count", "cut", "entries", "layouts", "limits", "nbytes", "tree")

    def __init__(self, metadata: dict[Any, Any], entries: int, size: int, limits: Limits) -> None:
        layouts, self.tree = metadata.get("parts"), metadata.get("tree")
        self.entries, self.limits = entries, limits
        if not isinstance(layouts, list):
            raise DecodeError.of("parts", expected="a list of layouts", found=type(layouts).__name__)
        if len(layouts) > limits.max_parts:
            raise LimitExceeded.over("max_parts", limits.max_parts, len(layouts))
        if self.tree is None and len(layouts) != 1:
            raise DecodeError.of("payload", expected="one array or a tree", found=f"{len(layouts)} parts and no tree")
        if self.tree is not None and not isinstance(self.tree, bytes):
            raise DecodeError.of("tree", expected="bytes", found=type(self.tree).__name__)
        self.layouts = [read_layout(layout, limits) for layout in layouts]
        self.nbytes = sum(layout.nbytes or 0 for layout in self.layouts)
        """Bytes of the parts as far as their layouts tell."""
        self._room = limits.max_total_bytes - size  # for the parts
        if self.nbytes > self._room:
            raise LimitExceeded.over("max_total_bytes", limits.max_total_bytes, self.nbytes + size)
        self.cut = read_cut(metadata["cut"], len(self.layouts), limits) if "cut" in metadata else None
        """Into how many parts each buffer is cut; None: none is."""
        self.count = len(self.layouts) if self.cut is None else sum(self.cut)
        """Parts that are to come."""
        whole = self.tree is None and self.cut is None
        self.alone = self.layouts[0] if whole and self.layouts[0].nbytes is not None else None
        """The layout of the one array that is all of the payload, if its size is known and it comes in one part."""

    def join(self, parts: Sequence[Any]) -> Sequence[Any]:
        """The buffers that come in ``parts``; those that are cut are copied. DecodeError if it is another number."""
        try:
            return parts if self.cut is None else join(parts, self.cut)
        except DecodeError:
            raise
        except Exception as error:
            raise _unforeseen(error) from error

    def payload(self, parts: Sequence[Any], copy: bool = False) -> Any:
        """The payload over ``parts``; ``copy``: of arrays that are the caller's own. DecodeError if they do not fit."""
        try:
            if self.alone is not None and len(parts) == 1:
                part = parts[0]
                return self.alone.build(part if type(part) is bytes else _read_only(part), copy)
            return self._payload([_read_only(part) for part in parts], copy)
        except DecodeError:
            raise
        except Exception as error:
            raise _unforeseen(error) from error

    def _payload(self, parts: list[Buffer], copy: bool) -> Any:
        if len(parts) != len(self.layouts):
            raise DecodeError.of("message", expected=f"{len(self.layouts)} buffer parts", found=f"{len(parts)}")
        total = sum(map(len, parts))
        if total > self._room:
            limit = self.limits.max_total_bytes
            raise LimitExceeded.over("max_total_bytes", limit, total + limit - self._room)
        built = [layout.build(part, copy) for layout, part in zip(self.layouts, parts, strict=True)]
        return built[0] if self.tree is None else lift(self.tree, built, self.limits)


def with_entry(metadata: Buffer, entry: bytes, *, bare: bool = False) -> bytes:
    """``metadata`` with an envelope, and behind that one more ``entry``, which says which buffers lie in shared memory,
    or are cut; with the entry first if it is ``bare``, without an envelope."""
    at = BODY if bare else BODY + ENTRY_SIZE
    return b"%c%b%b%b" % (metadata[0] + 1, bytes(metadata[1:at]), entry, bytes(metadata[at:]))


def cut_frames(frames: list[Buffer], *, bare: bool = False) -> list[Buffer]:
    """``frames`` with each large buffer in parts, and with metadata that says so; as they are if none is large."""
    entry, parts = slices(frames[1:])
    return frames if entry is None else [with_entry(frames[0], entry, bare=bare), *parts]


def without_shared(metadata: bytes) -> bytes:
    """The same for a message with all its buffers."""
    at = BODY + ENTRY_SIZE
    shared, rest = split_entry(metadata[at:])
    return metadata if shared is None else bytes([metadata[0] - 1]) + metadata[1:at] + rest


def is_topic(first: Buffer) -> bool:
    """Whether a first part is a topic. No text begins with a byte as all metadata does."""
    return not first or not 0x80 <= first[0] <= 0x8F


def read_topic(first: Buffer) -> str:
    try:
        return str(first, "utf-8")
    except UnicodeDecodeError:
        found = f"{bytes(first[:24])!r}"
        raise DecodeError.of("message", expected="metadata, or a topic in UTF-8 before it", found=found) from None


def _unforeseen(error: Exception) -> DecodeError:
    # The promise to whoever serves is that nothing but a DecodeError comes out, whatever came in.
    return DecodeError.of("message", expected="a valid one", found=f"{type(error).__name__}: {error}")


def _entry(key: str, value: Any) -> bytes:
    return packing.pack(key) + packing.pack(value)


def _read_only(part: Any) -> Buffer:
    if type(part) is bytes:
        return part
    view = memoryview(part).toreadonly()
    if view.ndim == 1 and view.format == "B" and view.contiguous:
        return view
    return view.cast("B") if view.nbytes and view.c_contiguous else view.tobytes()


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
            DLPack on the CPU is sent as an array; subclasses of ndarray but MaskedArray arrive as plain arrays.
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
