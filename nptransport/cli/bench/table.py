"""The figures as tables, one for each pattern and way of reading."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from ..units import as_size, counted
from .candidates import Candidate
from .content import Reading
from .figures import Figure, Figures
from .machine import Machine
from .plan import Case

__all__ = ["caption", "tables"]

_TITLES = {"stream": "Streams, messages a second", "roundtrip": "Round trips, time of one"}
_READS = {"touch": "the reader touches each array", "read": "the reader adds up every element"}


def tables(figures: Figures) -> Iterator[Table]:
    plan = figures.plan
    for pattern, title in _TITLES.items():
        candidates = [each for each in plan.candidates if each.pattern == pattern]
        for reading in plan.readings if candidates else ():
            whole = f"{title}; {_READS[reading]}"
            table = Table(title=whole, title_justify="left", title_style="bold", min_width=len(whole) + 1)
            table.add_column("")
            for nbytes in plan.sizes:
                table.add_column(as_size(nbytes), justify="right", no_wrap=True)
            face = ""
            for candidate in candidates:
                if face and candidate.face != face:
                    table.add_section()
                face = candidate.face
                table.add_row(*_row(figures, candidate, reading))
            yield table


def caption(figures: Figures, machine: Machine) -> str:
    """What the tables do not say of themselves."""
    lines = [
        f"Medians of {counted(figures.rounds, 'round')} in {figures.seconds:.0f} s, lowest to highest below; x is the "
        "ratio to the faster pyzmq over the same transport (shm and the limits: over ipc), in the same round.",
        f"{machine.cpu}, {machine.cores} cores, load {machine.load}; {machine.kernel}, Python {machine.python}, "
        f"NumPy {machine.numpy}, pyzmq {machine.pyzmq}, libzmq {machine.libzmq}, nptransport {machine.nptransport}",
    ]
    if machine.load is not None and machine.load > machine.cores / 2:
        lines.append("The machine had other work to do: the ratios may mean something, the rest does not.")
    if figures.rounds < figures.plan.rounds:
        what = "were finished" if figures.stopped else "fitted the minute"
        lines.append(f"Only {figures.rounds} of {figures.plan.rounds} rounds {what}.")
    return "\n".join(lines)


def _row(figures: Figures, candidate: Candidate, reading: Reading) -> list[Text | str]:
    style = "bold" if candidate.ours else ""
    label = Text(candidate.label, style)
    if candidate.name in figures.missing:
        label.append(f"\nnot here: {figures.missing[candidate.name]}", "yellow")
    cells = (figures.get(Case(candidate, nbytes, reading)) for nbytes in figures.plan.sizes)
    return [label, *(_cell(figure, candidate, style) if figure else "-" for figure in cells)]


def _cell(figure: Figure, candidate: Candidate, style: str) -> Text:
    if candidate.pattern == "roundtrip":
        middle, low, high = (_duration(1 / rate) for rate in (figure.median, figure.highest, figure.lowest))
    else:
        middle, low, high = (_count(rate) for rate in (figure.median, figure.lowest, figure.highest))
    cell = Text(middle, style)
    if figure.to_pyzmq is not None:
        colour = "" if not candidate.ours else "green" if figure.to_pyzmq >= 1 else "yellow"
        cell.append(f" x{figure.to_pyzmq:.{2 if figure.to_pyzmq < 10 else 0}f}".ljust(6), colour or "dim")
    cell.append(f"\n{low} to {high}", "dim")
    return cell


def _count(rate: float) -> str:
    """Three digits: 1.39M, 93.1k, 211, 4.2."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if rate >= factor:
            number = rate / factor
            return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}{unit}"
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
