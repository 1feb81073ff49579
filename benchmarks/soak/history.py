"""Histories: what each process writes down as it happens, a line of JSON each, and reading them back.

A line is one write to a file opened for appending: a process that is killed leaves whole lines.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["DIRECTOR", "PROGRESS", "Entry", "History", "Process", "Run", "Tail", "read"]

DIRECTOR = "director"
PROGRESS = ("got", "ended", "failed")
"""Events that tell of a receiver that gets on."""

Entry = dict[str, Any]


class History:
    """The file of one process, for writing."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = os.open(folder / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, event: str, **facts: Any) -> None:
        """Times are of the system's monotonic clock, one and the same for all processes."""
        line = json.dumps({"event": event, "at": round(time.monotonic(), 4), **facts})
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Tail:
    """Counts entries of a file while it grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def count(self, *events: str) -> int:
        """How many of these have come since this was asked last."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return 0
        self._at += data.rfind(b"\n") + 1
        starts = tuple(f'{{"event": "{event}"'.encode() for event in events)
        return sum(line.startswith(starts) for line in data.split(b"\n"))


@dataclass
class Process:
    """One life of one endpoint."""

    name: str
    """LANE.SLOT.LIFE: the lives of a slot follow one another."""
    entries: list[Entry] = field(default_factory=list)

    @property
    def lane(self) -> str:
        return self.name.split(".")[0]

    @property
    def slot(self) -> str:
        return self.name.rsplit(".", 1)[0]

    @property
    def role(self) -> str:
        return self.name.split(".")[1].split("-")[0]

    def all(self, event: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["event"] == event]

    def last(self, event: str) -> Entry | None:
        return next((entry for entry in reversed(self.entries) if entry["event"] == event), None)


@dataclass
class Run:
    """All histories of one episode."""

    processes: dict[str, Process]
    director: Process

    def of(self, lane: str, *roles: str) -> list[Process]:
        return [each for each in self.processes.values() if each.lane == lane and (not roles or each.role in roles)]

    def lanes(self) -> Iterator[Entry]:
        yield from self.director.all("lane")

    def faults(self, lane: str, where: Callable[[Entry], bool] = lambda fault: True) -> list[Entry]:
        return [fault for fault in self.director.all("fault") if fault["lane"] == lane and where(fault)]

    def killed(self, name: str) -> float:
        """When that process was seen to have been killed, which may be long after its last line; 0 if it was not."""
        ends = [end for end in self.director.all("end") if end["process"] == name and end["how"] == "killed"]
        return max((end["at"] for end in ends), default=0.0)


def read(folder: Path) -> Run:
    """What is in ``folder``. A last line that was cut off is left out."""
    processes: dict[str, Process] = {}
    for path in sorted(folder.glob("*.jsonl")):
        lines = path.read_bytes().split(b"\n")[:-1]
        processes[path.stem] = Process(path.stem, [json.loads(line) for line in lines])
    return Run(processes, processes.pop(DIRECTOR, Process(DIRECTOR)))
