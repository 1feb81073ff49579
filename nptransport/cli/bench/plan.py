"""What is measured, in which order, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .candidates import Candidate
from .content import Reading

__all__ = ["FULL_SIZES", "QUICK_SECONDS", "QUICK_SIZES", "Case", "Plan"]

FULL_SIZES = (1_000, 8_000, 64_000, 1_000_000, 8_000_000, 32_000_000, 128_000_000)
QUICK_SIZES = (1_000, 64_000, 1_000_000, 8_000_000, 32_000_000)
QUICK_SECONDS = 55.0  # after which no other round is begun

_START = 0.1  # seconds that two processes take to start and connect on a machine with nothing else to do
_BYTES_A_SECOND = 2e9  # what to expect of the slower ones, where a few messages take longer than the time for a turn
_FEWEST = 11  # messages, the warm-up among them


class Case(NamedTuple):
    """What has a figure of its own."""

    candidate: Candidate
    nbytes: int
    reading: Reading


@dataclass(frozen=True)
class Plan:
    """The whole run."""

    candidates: Sequence[Candidate]
    sizes: Sequence[int]
    """Bytes of one array, each a multiple of 8."""
    readings: Sequence[Reading]
    rounds: int
    seconds: float
    """Of one turn, besides starting and warming up."""

    def turns(self) -> Iterator[Case]:
        """One round: those that are compared follow upon each other."""
        for reading in self.readings:
            for nbytes in self.sizes:
                for candidate in self.candidates:
                    yield Case(candidate, nbytes, reading)

    @property
    def turns_a_round(self) -> int:
        return len(self.readings) * len(self.sizes) * len(self.candidates)

    @property
    def expected(self) -> float:
        """Seconds that all of it takes, roughly, on a machine with nothing else to do."""
        each = (_START + max(self.seconds * 1.5, _FEWEST * case.nbytes / _BYTES_A_SECOND) for case in self.turns())
        return self.rounds * sum(each)
