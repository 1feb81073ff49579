"""The figures as tables, for each pattern and way of reading as many as the width of the terminal asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..units import as_size, counted
from .candidates import Candidate
from .cells import as_cell
from .content import Reading
from .figures import Figures
from .machine import Machine
from .plan import Case

__all__ = ["caption", "tables"]

_TITLES = {"stream": "Streams, messages a second", "roundtrip": "Round trips, time of one"}
_READS = {"touch": "the reader touches each array", "read": "the reader adds up every element"}
_RATIOS = {
    "stream": "of messages a second for streams, where above 1 is better",
    "roundtrip": "of times for round trips, where below 1 is better",
}
_ENDLESS = 10_000  # columns


def tables(figures: Figures, console: Console) -> Iterator[Table]:
    """None of them wider than ``console``, or with one size at the least."""
    plan = figures.plan
    for pattern, title in _TITLES.items():
        candidates = [each for each in plan.candidates if each.pattern == pattern]
        for reading in plan.readings if candidates else ():
            yield from _Page(figures, candidates, reading, f"{title}; {_READS[reading]}").parts(console)


class _Page(NamedTuple):
    """What is compared with each other."""

    figures: Figures
    candidates: Sequence[Candidate]
    reading: Reading
    title: str

    def parts(self, console: Console) -> Iterator[Table]:
        """As many sizes in each as fit."""
        rest = self.figures.plan.sizes
        brief = any(_width(self._table([nbytes]), console) > console.width for nbytes in rest)
        while rest:
            for count in range(len(rest), 0, -1):
                table = self._table(rest[:count], brief=brief)
                width = _width(table, console)
                if width <= console.width or count == 1:
                    break
            # Even names alone may be too wide: a line that the terminal folds can be read, a name cut short cannot.
            table.width = max(width, min(len(self.title) + 1, console.width))
            rest = rest[count:]
            yield table

    def _table(self, sizes: Sequence[int], *, brief: bool = False) -> Table:
        table = Table(title=self.title, title_justify="left", title_style="bold")
        # A width of its own, since a reason why somebody is missing may be folded, a name not.
        table.add_column("", width=max(len(each.label_for(self.reading)) for each in self.candidates))
        for nbytes in sizes:
            table.add_column(as_size(nbytes), justify="right", no_wrap=True)
        face = ""
        for candidate in self.candidates:
            if face and candidate.face != face:
                table.add_section()
            face = candidate.face
            cells = [self._cell(candidate, nbytes, brief) for nbytes in sizes]
            table.add_row(self._name(candidate), *cells)
        return table

    def _name(self, candidate: Candidate) -> Text:
        name = Text(candidate.label_for(self.reading), "bold" if candidate.ours else "")
        if candidate.name in self.figures.missing:
            name.append(f"\nnot here: {self.figures.missing[candidate.name]}", "yellow")
        return name

    def _cell(self, candidate: Candidate, nbytes: int, brief: bool) -> Text | str:
        figure = self.figures.get(Case(candidate, nbytes, self.reading))
        return as_cell(figure, candidate, brief=brief) if figure else "-"


def _width(table: Table, console: Console) -> int:
    """Columns that it takes if nobody makes it narrower."""
    return console.measure(table, options=console.options.update(max_width=_ENDLESS)).maximum


def caption(figures: Figures, machine: Machine) -> str:
    """What the tables do not say of themselves."""
    patterns = dict.fromkeys(candidate.pattern for candidate in figures.plan.candidates)
    ratios = "; ".join(_RATIOS[pattern] for pattern in patterns)
    lines = [
        f"Medians of {counted(figures.rounds, 'round')} in {figures.seconds:.0f} s, lowest to highest below. x is the "
        "ratio to the faster pyzmq over the same transport (shm and the limits: over ipc), in the same round: "
        f"{ratios}.",
        f"{machine.cpu}, {machine.cores} cores, load {machine.load}; {machine.kernel}, Python {machine.python}, "
        f"NumPy {machine.numpy}, pyzmq {machine.pyzmq}, libzmq {machine.libzmq}, nptransport {machine.nptransport}",
    ]
    if machine.load is not None and machine.load > machine.cores / 2:
        lines.append("The machine had other work to do: the ratios may mean something, the rest does not.")
    if figures.rounds < figures.plan.rounds:
        what = "were finished" if figures.stopped else "fitted the minute"
        lines.append(f"Only {figures.rounds} of {figures.plan.rounds} rounds {what}.")
    return "\n".join(lines)
