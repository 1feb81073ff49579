"""The rounds, in which every candidate has one turn at each size."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..signals import Interruption
from .figures import Figures
from .plan import Case, Plan
from .turn import Missing, measure

__all__ = ["run"]


def run(
    plan: Plan, interruption: Interruption, *, on_turn: Callable[[int, Case], None], enough: float | None = None
) -> Figures:
    """Measure all of ``plan``.

    Args:
        on_turn: told the number of the round, from 1, and what comes next.
        enough: seconds after which no other round is begun.
    """
    figures = Figures(plan)
    started = time.monotonic()
    for number in range(1, plan.rounds + 1):
        for case in plan.turns():
            if case.candidate.name in figures.missing:
                continue
            on_turn(number, case)
            try:
                rate = measure(
                    case.candidate, case.nbytes, case.reading, seconds=plan.seconds, interruption=interruption
                )
            except Missing as missing:
                figures.missing[case.candidate.name] = str(missing)
            else:
                figures.add(case, rate)
        figures.rounds = number
        elapsed = time.monotonic() - started
        if enough is not None and elapsed + elapsed / number > enough:
            break
    figures.seconds = time.monotonic() - started
    return figures
