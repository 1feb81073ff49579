"""Files → words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import nptransport as npt

from ..exits import Stop
from ..report import Outcome, Report
from .digest import Digest, flat_bytes
from .line import Interrupted, Line
from .npyheader import Header
from .sources import BadFile, Source, SourceArray
from .words import Array, Begin, Close, End, Failed, Finish, Frame

__all__ = ["Sending", "largest_piece"]

_METADATA = 2**16  # bytes of a message besides its array, at most
_PIECE = 2**26  # bytes: small enough to be seen moving, large enough to cost nothing


def largest_piece(limits: npt.Limits) -> int:
    """Bytes up to which an array goes in one message."""
    return min(_PIECE, limits.max_total_bytes - _METADATA)


class Sending:
    """One run of ``send``.

    Args:
        verify: send digests along.
        rate: frames a second, at most.
        limits: what the receiver takes in one message.
    """

    def __init__(self, line: Line, report: Report, *, verify: bool, rate: float | None, limits: npt.Limits) -> None:
        self._line = line
        self._report = report
        self._verify = verify
        self._interval = 1 / rate if rate else 0.0
        self._due = 0.0
        self._limits = limits

    def run(self, sources: Sequence[Source]) -> None:
        """Send all of ``sources``, and wait until the receiver has read them.

        A file that turns out to be unreadable is told to the receiver and the report, and the next one follows. After
        a signal the receiver is told, too. Stop: there is no use in going on.
        """
        sizes = [source.nbytes for source in sources]
        nbytes = None if None in sizes else sum(size or 0 for size in sizes)
        try:
            self._line.wait_for_receiver()
        except Interrupted:
            return
        self._report.expect(len(sources), nbytes)
        try:
            self._line.say(Begin(len(sources), nbytes))
            for source in sources:
                self._send_file(source)
            self._line.say(Finish(stopped=False))
        except Interrupted:
            self._line.say_last(Finish(stopped=True))
        else:
            self._line.settle()

    def _send_file(self, source: Source) -> None:
        outcome = Outcome(source.name, "failed", reason="not complete")
        try:
            for array in source.arrays():
                self._send_array(source.name, array, outcome)
            self._line.say(Close(source.name))
            outcome.status, outcome.reason = "sent", ""
        except Stop:
            raise
        except Interrupted:
            outcome.reason = "interrupted"
            raise
        except (BadFile, npt.EncodeError, OSError, MemoryError) as error:
            outcome.reason = " ".join(str(error).split()) or type(error).__name__
            self._line.say(Failed(source.name, outcome.reason))
        finally:
            self._report.done(outcome)

    def _send_array(self, file: str, array: SourceArray, outcome: Outcome) -> None:
        self._line.say(Array(file, array.member, array.dtype, array.shape, array.order))
        digest, frames = Digest(), 0
        for piece in self._paced(array.pieces):
            if self._verify:
                digest.update(flat_bytes(piece, array.order))
            self._line.say(Frame(file, frames, array.frames, piece))
            frames += 1
            outcome.frames += 1
            outcome.nbytes += piece.nbytes
            self._report.moved(file, frames, array.frames, piece.nbytes)
        header = Header(array.dtype, tuple(frames if n is None else n for n in array.shape), array.order)
        self._line.say(End(file, frames, digest.hexdigest(header) if self._verify else None))
        outcome.arrays.append(str(header))

    def _paced(self, pieces: Iterator[np.ndarray[Any, Any]]) -> Iterator[np.ndarray[Any, Any]]:
        """Each when its time has come; BadFile for one that no message can hold."""
        for piece in pieces:
            if piece.nbytes + _METADATA > self._limits.max_total_bytes:
                hint = f"give --limit-bytes {piece.nbytes + _METADATA} to both sides"
                raise BadFile(f"a frame of {piece.nbytes} bytes is more than one message may hold; {hint}")
            if self._interval:
                self._line.wait_until(self._due)
                self._due = max(self._due, time.monotonic() - self._interval) + self._interval
            yield piece
