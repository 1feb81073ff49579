"""Throughput against size, with the limits of the machine drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..units import as_size, counted
from .candidates import Candidate
from .content import Reading
from .figures import Figures
from .machine import Machine
from .plan import Case

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_INK, _FAINT = "#22262b", "#8a9099"
_LIMITS = {"memcpy": "#6f7780", "unix-socket": "#6f7780", "unix-socket-roundtrip": "#6f7780"}
# Colours that stay apart for the colour-blind (Okabe and Ito): one for each transport of ours, ink for pyzmq.
_COLOURS = {"shm": "#009e73", "ipc": "#0072b2", "tcp": "#d55e00"}
_DASHES = {"safe": "-", "lent": (0, (5, 1.6)), "loan": (0, (5, 1.6))}
_APART = 0.043  # of the height: the least distance of two labels


def draw(figures: Figures, machine: Machine, path: str) -> None:
    """Write a PNG: a panel for each way of reading, a line for each candidate, in GB/s, with the spread as a band."""
    from matplotlib.figure import Figure  # a figure of its own, without pyplot: no window, no state

    pattern = "stream" if any(each.pattern == "stream" for each in figures.plan.candidates) else "roundtrip"
    readings = figures.plan.readings
    figure = Figure(figsize=(10.5 * len(readings), 6.6), dpi=150, facecolor="white")
    axes = figure.subplots(1, len(readings), squeeze=False, sharey=True)[0]
    for panel, reading in zip(axes, readings, strict=True):
        _panel(panel, figures, pattern, reading)
    figure.subplots_adjust(
        left=0.085 / len(readings), right=1 - 0.215 / len(readings), top=0.83, bottom=0.15, wspace=0.4
    )
    what = {"stream": "Arrays from process to process", "roundtrip": "Arrays to another process and back"}[pattern]
    left = 0.03 / len(readings)
    figure.text(left, 0.95, what, fontsize=19, fontweight="bold", color=_INK, va="center")
    rounds = counted(figures.rounds, "interleaved round")
    how = f"bytes of the arrays that arrive, each second; medians, with the range of {rounds}"
    figure.text(left, 0.9, how, fontsize=11.5, color=_FAINT, va="center")
    busy = f", load {machine.load}" if machine.load is not None and machine.load > machine.cores / 2 else ""
    facts = f"{machine.cpu}, {machine.cores} cores{busy} · {machine.kernel} · Python {machine.python} · "
    facts += f"NumPy {machine.numpy} · libzmq {machine.libzmq} · nptransport {machine.nptransport}"
    figure.text(left, 0.025, facts, fontsize=8.5, color=_FAINT, va="center")
    figure.savefig(path, format="png")


def _panel(axes: Axes, figures: Figures, pattern: str, reading: Reading) -> None:
    drawn = []
    for candidate in _shown(figures.plan.candidates, pattern):
        points = [(nbytes, figures.get(Case(candidate, nbytes, reading))) for nbytes in sorted(figures.plan.sizes)]
        known = [(nbytes, figure) for nbytes, figure in points if figure is not None]
        if not known:
            continue
        sizes = [nbytes for nbytes, _ in known]
        middle = [figure.median * nbytes / 1e9 for nbytes, figure in known]
        lowest = [figure.lowest * nbytes / 1e9 for nbytes, figure in known]
        highest = [figure.highest * nbytes / 1e9 for nbytes, figure in known]
        colour, style = _look(candidate)
        limit = candidate.face == "system"
        if not limit:
            axes.fill_between(sizes, lowest, highest, color=colour, alpha=0.1, linewidth=0)
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
        drawn.append((middle[-1], candidate, colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.03)
    axes.set_xticks(sorted(figures.plan.sizes), [as_size(nbytes) for nbytes in sorted(figures.plan.sizes)])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(colors=_INK, labelsize=11, length=0, pad=6, labelleft=True)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.9)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color("#c4c8cd")
    reads = {"touch": "the reader touches each array", "read": "the reader adds up every element"}[reading]
    axes.set_title(f"GB/s; {reads}", loc="left", fontsize=11.5, color=_INK, pad=10)
    axes.set_xlabel("size of one array", fontsize=11, color=_INK, labelpad=8)
    _label(axes, drawn, reading)


def _shown(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Where both faces were measured, the sync one: more lines than a dozen say nothing."""
    found = [each for each in candidates if each.pattern == pattern]
    sync = any(each.face == "sync" for each in found)
    return [each for each in found if not (sync and each.face == "asyncio")]


def _look(candidate: Candidate) -> tuple[str, Any]:
    way = candidate.program.partition(".")[2]
    if candidate.face == "system":
        return _LIMITS[candidate.name], (0, (1, 1.4))
    if candidate.face == "pyzmq":
        dashed = way == "multipart"
        return (_INK if candidate.transport == "ipc" else "#7b5f4b"), _DASHES["lent" if dashed else "safe"]
    return _COLOURS[candidate.transport], _DASHES.get(way, "-")


def _label(axes: Axes, drawn: list[tuple[float, Candidate, str]], reading: Reading) -> None:
    """Names at the ends of the lines, pushed apart where they would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted((float(to_axes.transform((1.0, end))[1]), candidate, colour) for end, candidate, colour in drawn)
    heights = [height for height, *_ in ends]
    for _ in range(200):  # relaxation: few labels, and an order that stays
        for lower in range(len(heights) - 1):
            short = _APART - (heights[lower + 1] - heights[lower])
            if short > 0:
                heights[lower] -= short / 2
                heights[lower + 1] += short / 2
    for height, (own, candidate, colour) in zip(heights, ends, strict=True):
        axes.plot(
            [0.972, 1.0, 1.012], [own, height, height], transform=axes.transAxes, color=colour, linewidth=0.8,
            alpha=0.55, clip_on=False, zorder=1,
        )  # fmt: skip
        weight = "bold" if candidate.ours else "normal"
        note = ": no copy" if reading == "touch" and candidate.program.endswith(".loan") else ""
        axes.text(
            1.018, height, candidate.label + note, transform=axes.transAxes, color=colour, fontsize=10.5,
            fontweight=weight, va="center",
        )  # fmt: skip
