"""Fuzzed: what senders and readers of shared memory say to each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from fuzz_invariant import Frames, Violation, judge, refused, timed

import nptransport as npt
from nptransport.codec.decoder import Decoder
from nptransport.codec.descriptor import Descriptor, Piece, read_descriptor, split_entry, write_entry
from nptransport.codec.encoder import Encoder
from nptransport.codec.envelope import EnvelopeWriter
from nptransport.codec.metadata import ALONE, with_entry
from nptransport.codec.repeats import changed
from nptransport.memory.receipts import ASLEEP, PLACES, TAKEN, WORDS, make_receipts
from nptransport.memory.segments import HEADER, Mapping, Segment
from nptransport.protocol.claims import Claims
from nptransport.shm import creditor, sidechannel
from nptransport.shm.layout import lay_out
from nptransport.transport.lanes import AGAIN, HEAD, Lanes

PARTS = 4
SLOTS, SLOT_BYTES = 4, 4096
SENDER = b"somebody"
_WORD = struct.Struct("<Q")


def descriptor(frames: Frames) -> str:
    """Any bytes as an entry of metadata: a descriptor that says the same when it is written again, or an error."""
    entry = b"".join(frames)
    value, rest = split_entry(entry)
    if value is None:
        value = entry
    elif not entry.endswith(rest) or not rest:
        raise Violation(f"{rest!r} does not stand behind the entry")
    read = timed(lambda: read_descriptor(value, PARTS))
    if isinstance(read, npt.DecodeError):
        return refused(read)
    parts = [piece.part for piece in read.pieces]
    if parts != sorted(set(parts)) or any(part >= PARTS for part in parts):
        raise Violation(f"{parts} of {PARTS} parts")
    if split_entry(write_entry(read) + b"x") != (value, b"x"):
        raise Violation(f"{read} is written otherwise")
    return f"{len(parts)} pieces"


class Borrowed:
    """A reader that has mapped one segment gets descriptors: what it hands out lies in the message that was meant."""

    def __init__(self) -> None:
        if not hasattr(os, "memfd_create"):
            return
        self._segment = Segment(1, SLOT_BYTES, SLOTS)
        for index, (generation, used) in enumerate(((1, 100), (2, SLOT_BYTES), (3, 0), (4, 2**63))):
            self._segment.slot(index)[:] = index
            self._segment.stamper(index)(generation, used)
        self._mapping = Mapping(self._segment.descriptor)

    def __call__(self, frames: Frames) -> str:
        if not hasattr(os, "memfd_create"):
            return "no shared memory"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.setblocking(False)
            ours.setblocking(False)
            lender = creditor.Creditor(ours, "")
            lender._mappings._mapped[1] = self._mapping
            words = {self._open(lender, frame) for frame in frames[:3]}
            said = theirs.recv(2**16) if any(word != "malformed" for word in words) else b""
            if len(said) % 16:
                raise Violation("something was claimed and not released")
            lender.gone_at = 0.0
        return str(sorted(words))[:80]

    def _open(self, lender: Any, frame: bytes) -> str:
        try:
            read = read_descriptor(frame, PARTS)
        except npt.DecodeError:
            return "malformed"
        read = read._replace(segment=1)  # another one would be waited for
        views = timed(lambda: lender.read(read))
        if isinstance(views, npt.DecodeError):
            refused(views)
            return "refused"
        for _, view in views:
            start = HEADER + read.slot * SLOT_BYTES
            judge(np.frombuffer(view, "u1"), [self._mapping._bytes[start : start + SLOT_BYTES]])
            used = (100, SLOT_BYTES, 0, 0)[read.slot]
            if read.generation != read.slot + 1 or not view.readonly or len(view) > used:
                raise Violation(f"{read} gives {len(view)} bytes")
        return f"{len(views)} views"


def segment(frames: Frames) -> str:
    """Memory that somebody offers: refused, or all that can be read of it lies in it."""
    if not hasattr(os, "memfd_create"):
        return "no shared memory"
    content = b"".join(frames)[: 2 * HEADER]
    offered = os.memfd_create("offered", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        size = HEADER * (1 + len(frames) % 3)
        os.posix_fallocate(offered, 0, size)
        os.pwrite(offered, content[:size], 0)
        fcntl.fcntl(offered, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        mapping = timed(lambda: Mapping(offered))
        if isinstance(mapping, npt.DecodeError):
            return refused(mapping)
        counts = [0, 0]
        for index in range(8):
            generation = int.from_bytes(content[64 + 16 * index :][:8], "little")
            array = timed(lambda index=index, generation=generation: mapping.read(index, generation))
            if isinstance(array, npt.DecodeError):
                refused(array)
            else:
                judge(array, [mapping._bytes[HEADER:]])
            counts[isinstance(array, npt.DecodeError)] += 1
        return f"{counts}"
    finally:
        os.close(offered)


def records(frames: Frames) -> str:
    """What a sender says at the side channel, with and without memory beside it: it is mapped, ignored, or cut off."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs, open(os.devnull, "rb") as nothing:
        ours.setblocking(False)
        lanes = Lanes(lambda descriptor: None)
        lender = creditor.Creditor(ours, "", lanes)
        for index, frame in enumerate(frames[:16]):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has cut us off
                if frame and index % 4 == 3:
                    socket.send_fds(theirs, [frame[:4096]], [nothing.fileno()])
                else:
                    theirs.sendall(frame[:4096])
            result = timed(lender.take_in)
            if isinstance(result, npt.DecodeError):
                refused(result)
                lender.cut()
        if lender._mappings._mapped:
            raise Violation("what is no segment was mapped")
        if lender._receipts is not None:
            raise Violation("what is no memory for receipts was mapped")
        if lanes.open:
            raise Violation("what is no socket was taken for a lane")
        gone = lender.gone_at is not None
        lender.gone_at = 0.0
        return f"cut off {gone}"


class Lane:
    """Any packets on a lane: each comes off it, or waits, and receipts are written where there is a place for them.
    What one tells of as like another can be opened, or is a DecodeError."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._receipts, self._words = make_receipts()

    def __call__(self, frames: Frames) -> str:
        if not hasattr(os, "memfd_create"):
            return "no shared memory"
        side, far_side = socket.socketpair()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with side, far_side, theirs:
            side.setblocking(False)
            lender = creditor.Creditor(side, "")
            socket.send_fds(far_side, [sidechannel.RECORD.pack(sidechannel.RECEIPTS, 0)], [self._receipts])
            lender.take_in()
            lanes = Lanes(lambda descriptor: None)
            lanes.add(ours, lender)
            came = 0
            for frame in frames[:8]:
                with contextlib.suppress(BrokenPipeError):  # an empty packet is its end
                    theirs.send(frame[:4096])
                message = timed(lanes.take)
                came += message is not None
                if message is not None and lanes.turn is not None and message is lanes.turn.again:
                    told = changed(lanes.turn.last, lanes.turn.changes)
                    timed(lambda told=told: Decoder().open(told))
            lanes.close()
            lender.cut()
        written = [index for index, word in enumerate(self._words) if word] if came else []
        self._words[TAKEN] = self._words[ASLEEP] = 0
        for index in written:
            self._words[index] = 0
        places = [index for index in written if index != TAKEN]  # which is 0 if the last one said so
        if written and (ASLEEP in places or len(places) >= came):
            raise Violation(f"receipts at {written} for {came} packets")
        return f"{came} came, {len(written)} receipts"


class _Account:
    def __init__(self) -> None:
        self.fetches = self.bytes = 0

    def fetched(self) -> None:
        self.fetches += 1

    def let_go(self, nbytes: int) -> None:
        self.bytes += nbytes


def claims(frames: Frames) -> str:
    """Readers say anything: no message is free that another holds, none twice, and all once everybody has gone."""
    book: Claims[int] = Claims()
    accounts = {name: _Account() for name in (b"a", b"b")}
    honest = "one that does as it should"
    book.join(honest)
    kept = book.next()
    book.sent(kept, kept)
    book.claim(honest, kept)
    freed: set[int] = set()
    readers: set[int] = set()
    addressed = bool(frames) and len(frames[0]) % 2 == 1

    def collect() -> None:
        for thing in book.take_freed():
            if thing == kept or thing in freed:
                raise Violation(f"message {thing} is free again, or while it is held")
            freed.add(thing)

    for index, frame in enumerate(frames[:16]):
        generation = book.next()
        if addressed:
            book.begin(generation, generation, 10)
            for name, account in accounts.items():
                book.address(generation, name, account)
            book.end(generation)
        else:
            book.sent(generation, generation, copies=1 + index % 2)
        reader = len(frame) % 3
        if reader not in readers:
            readers.add(reader)
            book.join(reader, (b"a", b"b", b"")[reader])
        for (word,) in _WORD.iter_unpack(frame[: len(frame) & ~7]):
            if word == sidechannel.LEAVE:
                book.leave(reader)
            elif word & sidechannel.RELEASE:
                book.release(reader, word ^ sidechannel.RELEASE)
            else:
                book.claim(reader, word)
        if index % 5 == 4:
            readers.discard(reader)
            book.gone(reader)
        book.settle(len(readers))
        collect()
        if book.in_doubt() < 0 or len(book.waiting) < 0:
            raise Violation(f"{book.in_doubt()} in doubt, {len(book.waiting)} unclaimed")
    for reader in readers:
        book.gone(reader)
    for name in accounts:
        book.forget_addressee(name)
    last = book.next()
    book.sent(last, last)
    book.claim(honest, last)
    book.settle(1)
    collect()
    if kept in freed:
        raise Violation("what one reader holds, others have released")
    if addressed and len(freed) != len(frames[:16]):
        raise Violation(f"{len(freed)} of {len(frames[:16])} messages are free once everybody has gone")
    return f"{min(len(freed), 8)} free, {min(book.lost, 8)} lost"


def layout(frames: Frames) -> str:
    """Buffers of any lengths have places in a slot that do not overlap, or stay."""
    if len(frames) < 2 or not any(frames[1:]):
        return "nothing"
    pieces, nbytes, stay = lay_out([b"", *frames[1:]])
    end = 0
    for piece in pieces:
        if piece.offset < end or piece.nbytes != len(frames[1:][piece.part]):
            raise Violation(f"{pieces} of {[len(frame) for frame in frames]}")
        end = piece.offset + piece.nbytes
    if end > nbytes or len(pieces) + len(stay) != len(frames) - 1:
        raise Violation(f"{pieces} in {nbytes} bytes, {len(stay)} stay")
    return f"{len(pieces)} pieces, {len(stay)} stay"


TARGETS: dict[str, Callable[[], Callable[[Frames], str]]] = {
    "descriptor": lambda: descriptor,
    "borrowed": Borrowed,
    "segment": lambda: segment,
    "records": lambda: records,
    "lane": Lane,
    "claims": lambda: claims,
    "layout": lambda: layout,
}


def corpus() -> dict[str, list[Frames]]:
    """What well-behaved peers say."""
    one = Descriptor(SENDER, 1, 0, 1, [Piece(0, 0, 100)])
    many = Descriptor(SENDER, 1, 1, 2, [Piece(0, 0, 64), Piece(2, 64, 4000), Piece(3, 4095, 1)])
    rest = [Descriptor(SENDER, 1, 2, 3, [Piece(1, 0, 0)]), Descriptor(SENDER, 1, 3, 4, [Piece(1, 0, 1)])]
    entries = [write_entry(each) for each in (one, many, *rest, one._replace(pieces=[]))]
    values = [split_entry(entry + b"x")[0] or b"" for entry in entries]
    geometry = struct.Struct("<8sQQ").pack(b"npt-shm\x01", 2048, 2).ljust(64, b"\0") + struct.pack("<4Q", 7, 9, 8, 2048)
    single = struct.Struct("<8sQQ").pack(b"npt-shm\x01", 4096, 1).ljust(64, b"\0") + struct.pack("<2Q", 7, 4096)
    words = [_WORD.pack(word) for word in (1, 2, 3, 4, 2 | 2**63, 3 | 2**63, 1 | 2**63, 2**63, 2**63 - 1)]
    offers = [
        sidechannel.RECORD.pack(what, number)
        for what in (sidechannel.OFFER, sidechannel.GONE, sidechannel.RECEIPTS)
        for number in (0, 1)
    ]
    packets = [
        HEAD.pack(after, generation, place) + b"metadata"
        for after, generation, place in (
            (0, 1, PLACES),
            (0, 2, PLACES + 1),
            (0, 3, WORDS - 1),
            (9, 4, WORDS),
            (0, 5, 1),
        )
    ]
    metadata, _ = Encoder().encode(np.zeros(100, np.uint8), EnvelopeWriter("0123456789abcdef", ALONE).entry(1.0))
    whole = HEAD.pack(0, 6, PLACES) + with_entry(metadata, write_entry(one))
    again = [AGAIN.pack(0, number, PLACES, 1, 0, number, float(number)) for number in (7, 8, 2**63)]
    return {
        "descriptor": [[entry + b"x"] for entry in entries] + [[value] for value in values],
        "borrowed": [values, values[::-1], [values[1]] * 3],
        "segment": [[geometry], [single], [single, bytes(HEADER)], [geometry[:60]]],
        "records": [offers, [b"".join(offers)], offers * 3, [*offers, offers[0][:5]]],
        "lane": [
            packets,
            packets[::-1],
            [packets[0], b"", packets[1]],
            [packets[0][:10], *packets],
            again,
            [whole, *again],
            [whole, again[0], packets[3], again[1]],
        ],
        "claims": [words, [b"".join(words)] * 3, [words[1] + words[4], words[2] + words[7], *words], [b"x", *words]],
        "layout": [[b"", bytes(n), bytes(4096), bytes(m)] for n in (0, 5000) for m in (1, 4095)] + [[b"", b"xy"]],
    }
