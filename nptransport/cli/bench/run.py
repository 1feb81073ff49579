"""The rounds, in which every candidate has one turn at each size."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ..exits import ExitCode, Stop
from ..signals import Interruption
from .figures import Figures
from .plan import Case, Plan
from .turn import Missing, measure

__all__ = ["run"]


def run(
    plan: Plan, interruption: Interruption, *, on_turn: Callable[[int, Case], None], enough: float | None = None
) -> Figures:
    """Measure all of ``plan``. What ends it early stands in ``stopped``, beside the figures of the rounds before.

    Args:
        on_turn: told the number of the round, from 1, and what comes next.
        enough: seconds after which no other round is begun.
    """
    figures = Figures(plan)
    started = time.monotonic()
    try:
        for number in range(1, plan.rounds + 1):
            _round(figures, interruption, partial(on_turn, number))
            figures.rounds = number
            elapsed = time.monotonic() - started
            if enough is not None and elapsed + elapsed / number > enough:
                break
    except Stop as stop:
        figures.stopped = stop
    except KeyboardInterrupt:  # asked twice, or sent twice, as `timeout` does: the figures are there all the same
        figures.stopped = Stop(interruption.exit_code, "interrupted")
    except (OSError, EOFError) as error:  # no process could be begun, or no file
        figures.stopped = Stop(ExitCode.FAILED, f"{type(error).__name__}: {error}")
    if figures.stopped and interruption:
        figures.stopped = Stop(interruption.exit_code, "interrupted")
    figures.drop_unfinished()
    figures.seconds = time.monotonic() - started
    return figures


def _round(figures: Figures, interruption: Interruption, on_turn: Callable[[Case], None]) -> None:
    plan = figures.plan
    for case in plan.turns():
        if case.candidate.name in figures.missing:
            continue
        on_turn(case)
        try:
            rate = measure(case.candidate, case.nbytes, case.reading, seconds=plan.seconds, interruption=interruption)
        except Missing as missing:
            figures.missing[case.candidate.name] = str(missing)
        else:
            figures.add(case, rate)
