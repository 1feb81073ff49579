"""What ``send`` and ``recv`` say: on stdout a line for each file and a summary, or JSON; on stderr all else."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import click
from rich.filesize import decimal

from .progress import Bar, Display, Ticker
from .terminal import can_repaint
from .units import counted

__all__ = ["Outcome", "Report"]

_FAILURES = ("failed", "differs")


@dataclass
class Outcome:
    """What became of one file."""

    file: str
    status: str
    """sent, written, verified; or failed, differs."""
    arrays: list[str] = field(default_factory=list)
    """dtype and shape of each."""
    frames: int = 0
    nbytes: int = 0
    reason: str = ""
    path: str = ""
    started: float = field(default_factory=time.monotonic)


class Report:
    """The voice of one command.

    Args:
        as_json: one JSON object a line on stdout, and nothing else there.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._display: Display = Bar() if can_repaint() else Display() if as_json else Ticker()
        self._started: float | None = None
        self.outcomes: dict[str, int] = {}
        """How many files, by status."""
        self._frames = 0
        self._nbytes = 0

    def __enter__(self) -> Report:
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._display.stop()

    @property
    def files(self) -> int:
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        return sum(self.outcomes.get(status, 0) for status in _FAILURES)

    def note(self, text: str) -> None:
        """Something that a person may want to know."""
        self._display.print(text, err=True)

    def listening(self, address: str) -> None:
        if self._as_json:
            self._event("listening", address=address)
        else:
            self.note(f"listening at {address}")

    def expect(self, files: int, nbytes: int | None) -> None:
        """So much more is going to come; None if nobody knows how much."""
        self._started = self._started or time.monotonic()
        self._display.expect(files, nbytes)

    def moved(self, file: str, frame: int, frames: int | None, nbytes: int) -> None:
        """Frame number ``frame`` of ``frames`` has come, or gone."""
        self._frames += 1
        self._nbytes += nbytes
        self._display.moved(file, frame, frames, nbytes)

    def done(self, outcome: Outcome) -> None:
        """A file has ended, this way or another."""
        self.outcomes[outcome.status] = self.outcomes.get(outcome.status, 0) + 1
        self._display.done()
        seconds = time.monotonic() - outcome.started
        if self._as_json:
            more = {name: value for name in ("reason", "path") if (value := getattr(outcome, name))}
            facts = {
                "arrays": outcome.arrays,
                "frames": outcome.frames,
                "bytes": outcome.nbytes,
                "seconds": round(seconds, 3),
            }
            self._event("file", file=outcome.file, status=outcome.status, **facts, **more)
            return
        bad = outcome.status in _FAILURES
        status = click.style(f"{outcome.status:<8}", fg="red" if bad else "green")
        arrays = outcome.arrays[0] if len(outcome.arrays) == 1 else f"{len(outcome.arrays)} arrays"
        rest = outcome.reason if bad else f"{arrays}, {decimal(outcome.nbytes)}"
        self._display.print(f"{status}  {outcome.file}  {rest}", err=False)

    def summary(self, code: int, **counts: int) -> None:
        """The last word, if there has been any other; ``counts`` are named only where they are not 0."""
        self._display.stop()
        seconds = time.monotonic() - self._started if self._started else 0.0
        if self._as_json:
            facts = {"frames": self._frames, "bytes": self._nbytes, "seconds": round(seconds, 3)}
            self._event("summary", files=self.files, failed=self.failed, **facts, **counts, exit=code)
            return
        interrupted = code > 128
        if self._started is None and not interrupted and not any(counts.values()):
            return
        parts = [f"{count} {status}" for status, count in self.outcomes.items()]
        files = counted(self.files, "file") + (f" ({', '.join(parts)})" if parts else "")
        speed = f", {decimal(int(self._nbytes / seconds))}/s" if seconds else ""
        told = "".join(f"; {count} {name}" for name, count in counts.items() if count)
        told += "; interrupted" * interrupted
        line = f"{files}, {counted(self._frames, 'frame')}, {decimal(self._nbytes)} in {seconds:.2f} s{speed}{told}"
        self._display.print(line, err=False)

    def _event(self, event: str, **facts: Any) -> None:
        self._display.print(json.dumps({"event": event, **facts}), err=False)
