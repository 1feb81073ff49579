"""How far a run is: a bar on a terminal, a line for each round elsewhere."""

from __future__ import annotations

from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..terminal import can_repaint
from ..units import as_age, as_size, counted
from .plan import Case, Plan

__all__ = ["Meter"]


class Meter:
    """On stderr."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._round = 0
        self._progress = Progress(
            TextColumn("round {task.fields[round]} of {task.fields[rounds]}", style="dim"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            disable=not can_repaint(),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        turns = plan.rounds * plan.turns_a_round
        self._task = self._progress.add_task("", total=turns, completed=-1, round=1, rounds=plan.rounds)

    def __enter__(self) -> Meter:
        plan = self._plan
        click.echo(
            f"{counted(len(plan.candidates), 'candidate')}, {counted(len(plan.sizes), 'size')}, "
            f"{counted(plan.rounds, 'round')}: about {as_age(plan.expected)} on an idle machine",
            err=True,
        )
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def turn(self, number: int, case: Case) -> None:
        """What comes next."""
        if self._progress.disable and number != self._round:
            click.echo(f"round {number} of {self._plan.rounds}", err=True)
        self._round = number
        what = f"{case.candidate.label}, {as_size(case.nbytes)}"
        self._progress.update(self._task, advance=1, round=number, description=what)
