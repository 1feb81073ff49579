"""One figure, as it stands in a table."""

from __future__ import annotations

from rich.text import Text

from .candidates import Candidate
from .figures import Figure

__all__ = ["as_cell", "as_count"]


def as_cell(figure: Figure, candidate: Candidate, *, brief: bool) -> Text:
    """Median and ratio, and below them the range; ``brief``: how far it reaches from the median, which is narrower."""
    style = "bold" if candidate.ours else ""
    cell = Text(_duration(1 / figure.median) if candidate.timed else as_count(figure.median), style)
    if figure.to_pyzmq is not None:
        better = figure.to_pyzmq <= 1 if candidate.timed else figure.to_pyzmq >= 1
        colour = "dim" if not candidate.ours else "green" if better else "yellow"
        cell.append(f" x{figure.to_pyzmq:.{2 if figure.to_pyzmq < 10 else 0}f}".ljust(6), colour)
    return cell.append("\n" + (_spread(figure, candidate) if brief else _range(figure, candidate)), "dim")


def _range(figure: Figure, candidate: Candidate) -> str:
    if not candidate.timed:
        return f"{as_count(figure.lowest)} to {as_count(figure.highest)}"
    low, high = _duration(1 / figure.highest), _duration(1 / figure.lowest)
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low} to {high}"


def _spread(figure: Figure, candidate: Candidate) -> str:
    middle, *ends = ((1 / rate if candidate.timed else rate) for rate in (figure.median, figure.lowest, figure.highest))
    return f"±{max(abs(end / middle - 1) for end in ends):.0%}"


def as_count(rate: float) -> str:
    """1.39M, 93.1k, 211, 4.2."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if rate >= factor:
            return _three_digits(rate / factor) + unit
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"


def _duration(seconds: float) -> str:
    """1.39 s, 28.0 ms, 211 µs."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= factor:
            return f"{_three_digits(seconds / factor)} {unit}"
    return f"{_three_digits(seconds * 1e6)} µs"


def _three_digits(number: float) -> str:
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"
