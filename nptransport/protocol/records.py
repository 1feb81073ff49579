"""What a broker's books hold of each task, worker, client and message to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .failure import Failure
from .statistics import WorkerState

__all__ = ["Client", "Job", "Key", "Out", "Worker"]

Key = tuple[bytes, int]
"""A task: the client, and the number that it gave the call."""


class Job:
    """A task, from a client's call of it to its one end."""

    __slots__ = ("arrived", "attempt", "client", "form", "frames", "gone", "last", "method", "nbytes", "number",
                 "silent", "verdict", "worker")  # fmt: skip

    def __init__(
        self, client: bytes, number: int, method: str, form: int, attempt: int, frames: Sequence[Any], nbytes: int
    ) -> None:
        self.client, self.number, self.method, self.form = client, number, method, form
        self.attempt = attempt - 1
        self.frames, self.nbytes = frames, nbytes
        self.worker: bytes | None = None
        self.gone: set[bytes] = set()  # workers whose connection ended while they had it
        self.silent = 0  # those that fell silent
        self.last = ""  # the name of the last of them
        self.verdict = 0.0  # when it is given up as one that kills, unless one of those who have gone comes back
        self.arrived = 0.0

    @property
    def deaths(self) -> int:
        """Workers that it may have taken along."""
        return len(self.gone) + self.silent


class Worker:
    """One that has said what it offers."""

    def __init__(self, name: str, slots: int, interval: float, methods: Mapping[str, str], now: float) -> None:
        self.name, self.slots, self.interval, self.methods = name, slots, interval, methods
        self.heard = now
        self.running: dict[Key, int] = {}  # with the attempt
        self.leaving = False
        self.done = self.failed = 0

    def state(self) -> WorkerState:
        return WorkerState(
            name=self.name,
            methods=tuple(sorted(self.methods)),
            slots=self.slots,
            busy=len(self.running),
            done=self.done,
            failed=self.failed,
            leaving=self.leaving,
        )


class Client:
    """One that has called."""

    def __init__(self, interval: float, now: float) -> None:
        self.heard, self.interval = now, interval
        self.jobs: dict[int, Job] = {}
        self.refused = False


class Out(NamedTuple):
    """A message to be sent."""

    to_worker: bool
    peer: bytes
    head: bytes
    frames: Sequence[Any]
    failure: Failure | None = None
    """What the payload is to say, where there are no frames for it yet."""
    task: Key | None = None
    """Whose task it is, where it is one for a worker."""
