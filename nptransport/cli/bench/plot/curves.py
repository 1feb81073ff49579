"""A panel: throughput against size, a line for each candidate, with the spread as a band."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ...units import as_size
from ..candidates import Candidate
from ..content import Reading
from ..figures import Figures
from ..plan import Case
from .style import GRID, INK, READS, SPINE, ceiling, look, no_copy, pattern_of, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["panel"]

_APART = 0.047  # of the height: the least distance of two lines of text


class _Label(NamedTuple):
    """At the right-hand end of a line."""

    height: float
    """Where the line ends, as a part of the height of the panel."""
    text: str
    colour: str
    ours: bool
    start: float = 0.972
    """Of the thin line that leads there, as a part of the width."""


def panel(axes: Axes, figures: Figures, reading: Reading) -> None:
    drawn = shown(figures.plan.candidates, pattern_of(figures))
    sizes = sorted(figures.plan.sizes)
    top = ceiling(figures)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(sizes[0] / (sizes[-1] / sizes[0]) ** 0.03, sizes[-1] * (sizes[-1] / sizes[0]) ** 0.03)
    axes.set_ylim(_floor(figures, drawn, top), top)
    labels = [label for candidate in drawn if (label := _line(axes, figures, candidate, reading, top)) is not None]
    _scales(axes, sizes)
    axes.set_title(f"GB/s; {READS[reading]}", loc="left", fontsize=11.5, color=INK, pad=16)
    axes.set_xlabel("size of one array", fontsize=11, color=INK, labelpad=8)
    _write(axes, labels)


def _floor(figures: Figures, drawn: list[Candidate], top: float) -> float:
    rates = (figure.lowest * case.nbytes / 1e9 for case, figure in figures if case.candidate in drawn)
    return min(min(rates) / 1.2, top / 10)


def _line(axes: Axes, figures: Figures, candidate: Candidate, reading: Reading, top: float) -> _Label | None:
    known = [
        (nbytes, figure)
        for nbytes in sorted(figures.plan.sizes)
        if (figure := figures.get(Case(candidate, nbytes, reading))) is not None
    ]
    if not known:
        return None
    sizes = [nbytes for nbytes, _ in known]
    low, middle, high = (
        [getattr(figure, name) * nbytes / 1e9 for nbytes, figure in known] for name in ("lowest", "median", "highest")
    )
    colour, style = look(candidate)
    limit = candidate.face == "system"
    off = [value > top for value in middle]
    if not limit:
        shaded = off.index(True) + 1 if any(off) else len(off)
        axes.fill_between(sizes[:shaded], low[:shaded], high[:shaded], color=colour, alpha=0.1, linewidth=0)
    axes.plot(
        sizes,
        middle,
        color=colour,
        linestyle=style,
        linewidth=1.6 if limit else 2.6 if candidate.ours else 1.9,
        marker="" if limit else "o",
        markersize=5.5,
        zorder=3 if candidate.ours else 2,
    )
    to_axes = axes.transData + axes.transAxes.inverted()
    if any(off):
        left = _arrow(axes, sizes, middle, top, off.index(True), colour)
        if off[-1]:
            start = float(to_axes.transform((left, top))[0])
            return _Label(1.0, no_copy(candidate, *known[-1]), colour, candidate.ours, start)
    height = float(to_axes.transform((sizes[-1], middle[-1]))[1])
    note = ",\nin part off the scale" if any(off) else ""
    return _Label(height, candidate.label_for(reading) + note, colour, candidate.ours)


def _arrow(axes: Axes, sizes: list[int], middle: list[float], top: float, beyond: int, colour: str) -> float:
    """Where a line leaves the scale, on its way to the point ``beyond``."""
    crossing = math.log(sizes[beyond])
    if beyond:
        share = math.log(top / middle[beyond - 1]) / math.log(middle[beyond] / middle[beyond - 1])
        crossing -= (1 - share) * math.log(sizes[beyond] / sizes[beyond - 1])
    at = math.exp(crossing)
    axes.plot(at, top, color=colour, marker="^", markersize=11, clip_on=False, zorder=4)
    return at


def _scales(axes: Axes, sizes: list[int]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xticks(sizes, [as_size(nbytes) for nbytes in sizes])
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1000 else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.tick_params(colors=INK, labelsize=11, length=0, pad=6, labelleft=True)
    axes.tick_params(axis="x", length=4, color=SPINE)
    axes.grid(axis="y", color=GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(SPINE)


def _write(axes: Axes, labels: list[_Label]) -> None:
    """Names at the ends of the lines, pushed apart where they would overlap."""
    labels = sorted(labels, key=lambda label: label.height)
    heights = [label.height for label in labels]
    for _ in range(200):  # relaxation: few labels, and an order that stays
        for lower in range(len(heights) - 1):
            lines = (labels[lower].text + labels[lower + 1].text).count("\n") / 2 + 1
            short = _APART * lines - (heights[lower + 1] - heights[lower])
            if short > 0:
                heights[lower] -= short / 2
                heights[lower + 1] += short / 2
    for height, label in zip(heights, labels, strict=True):
        axes.plot(
            [label.start, 1.0, 1.012], [label.height, height, height], transform=axes.transAxes, color=label.colour,
            linewidth=0.8, alpha=0.55, clip_on=False, zorder=1,
        )  # fmt: skip
        axes.text(
            1.018, height, label.text, transform=axes.transAxes, color=label.colour, fontsize=10.5,
            fontweight="bold" if label.ours else "normal", va="center",
        )  # fmt: skip
