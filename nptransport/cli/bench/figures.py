"""Medians, spread and ratios of what was measured."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ..exits import Stop
from .plan import Case, Plan

__all__ = ["Figure", "Figures"]


class Figure(NamedTuple):
    """One case, over all rounds. Rates are in messages a second, or round trips."""

    median: float
    lowest: float
    highest: float
    rates: list[float]
    to_pyzmq: float | None
    """Median over the rounds of the ratio to the fastest pyzmq of the same pattern, size, reading and transport; for a
    transport that pyzmq lacks, to the one over ipc. Of rates for streams, of times for round trips."""


class Figures:
    """What a run has found."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rounds = 0
        """That were finished."""
        self.stopped: Stop | None = None
        """What ended the run early."""
        self.seconds = 0.0
        self.missing: dict[str, str] = {}
        """Why a candidate could not be measured here, by its name."""
        self._rates: defaultdict[Case, list[float]] = defaultdict(list)

    def add(self, case: Case, rate: float) -> None:
        self._rates[case].append(rate)

    def drop_unfinished(self) -> None:
        """Of a round in which not everybody had a turn, nothing counts."""
        for rates in self._rates.values():
            del rates[self.rounds :]

    def __iter__(self) -> Iterator[tuple[Case, Figure]]:
        """In the order in which they were measured."""
        for case in self.plan.turns():
            figure = self.get(case)
            if figure is not None:
                yield case, figure

    def get(self, case: Case) -> Figure | None:
        rates = self._rates.get(case)
        if not rates:
            return None
        return Figure(statistics.median(rates), min(rates), max(rates), rates, self._to_pyzmq(case, rates))

    def _to_pyzmq(self, case: Case, rates: list[float]) -> float | None:
        pattern, transport = case.candidate.pattern, case.candidate.transport
        bare = [
            self._rates[other]
            for other in (case._replace(candidate=each) for each in self.plan.candidates)
            if other.candidate.face == "pyzmq" and other.candidate.pattern == pattern and other in self._rates
            if other.candidate.transport == (transport if transport in ("tcp", "ipc") else "ipc")
        ]
        if not bare:
            return None
        fastest = map(max, zip(*bare, strict=False))
        pairs = zip(rates, fastest, strict=False)
        return statistics.median(best / rate if case.candidate.timed else rate / best for rate, best in pairs)
