"""The whole picture: panels, and what stands around them."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from ...units import counted
from ..figures import Figures
from ..machine import Machine
from . import bars, curves
from .style import FAINT, INK, pattern_of, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["compose", "draw"]

_WIDTH, _CURVES = 10.5, 4.9  # inches, of one panel
_BAR, _BARS = 0.36, 0.9  # inches: of one bar, and of what a panel of them takes besides
_ABOVE, _LINE = 1.1, 0.17  # inches, of what stands above, and of one line of what stands below
_LETTERS = 13.5  # of the small print, on an inch

_TITLES = {"stream": "Arrays from process to process", "roundtrip": "Arrays to another process and back"}
_MOVED = {"stream": "bytes of the arrays that arrive", "roundtrip": "bytes of the arrays that come back"}


def draw(figures: Figures, machine: Machine, path: str) -> None:
    """Write a PNG."""
    compose(figures, machine).savefig(path, format="png")


def compose(figures: Figures, machine: Machine) -> Figure:
    """A panel for each way of reading, in GB/s."""
    from matplotlib.figure import Figure  # a figure of its own, without pyplot: no window, no state

    pattern, readings = pattern_of(figures), figures.plan.readings
    one_size = len(figures.plan.sizes) == 1
    count = len(shown(figures.plan.candidates, pattern))
    width = _WIDTH * len(readings)
    below = [line for fact in _below(figures, machine) for line in textwrap.wrap(fact, int(_LETTERS * width))]
    under = _LINE * (len(below) + 1.5)
    height = _ABOVE + (_BARS + _BAR * count if one_size else _CURVES) + under

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots(1, len(readings), squeeze=False, sharex=True, sharey=not one_size)[0]
    for panel, reading in zip(axes, readings, strict=True):
        (bars if one_size else curves).panel(panel, figures, reading)
    edge = 0.3 / width
    room = (edge, under / height, 1 - 2 * edge, 1 - (under + _ABOVE) / height)
    figure.get_layout_engine().set(rect=room, wspace=0.04)  # type: ignore[union-attr,call-arg]

    figure.text(edge, 1 - 0.35 / height, _TITLES[pattern], fontsize=19, fontweight="bold", color=INK, va="center")
    how = f"{_MOVED[pattern]}, each second: more is better; medians of {counted(figures.rounds, 'interleaved round')}"
    figure.text(edge, 1 - 0.72 / height, f"{how}, and their range", fontsize=11.5, color=FAINT, va="center")
    figure.text(
        edge, _LINE * 0.7 / height, "\n".join(below), fontsize=8.5, color=FAINT, va="bottom", linespacing=1.4
    )  # fmt: skip
    _thin_out(figure)
    return figure


def _below(figures: Figures, machine: Machine) -> list[str]:
    """What was measured and is not drawn, and what it was measured on."""
    drawn = shown(figures.plan.candidates, pattern_of(figures))
    left = Counter(
        f"{'asyncio ' if each.face == 'asyncio' and each.pattern == pattern_of(figures) else ''}"
        f"{'stream' if each.pattern == 'stream' else 'round trip'}"
        for each in dict.fromkeys(case.candidate for case, _ in figures)
        if each not in drawn
    )
    facts = []
    if left:
        what = ", ".join(counted(count, name) for name, count in left.items())
        facts.append(f"Measured, but not drawn: {what}. The table and --json have them.")
    busy = f", load {machine.load}" if machine.load is not None and machine.load > machine.cores / 2 else ""
    facts.append(
        f"{machine.cpu}, {machine.cores} cores{busy} · {machine.kernel} · Python {machine.python} · "
        f"NumPy {machine.numpy} · libzmq {machine.libzmq} · nptransport {machine.nptransport}"
    )
    return facts


def _thin_out(figure: Figure) -> None:
    """Of sizes whose names would touch, leave the first."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        end = float("-inf")
        for label in axes.get_xticklabels():
            box = label.get_window_extent()
            if box.x0 < end:
                label.set_visible(False)
            else:
                end = box.x1 + box.height / 2
