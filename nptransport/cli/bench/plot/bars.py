"""A panel where there is but one size: a bar for each candidate, with its range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...units import as_size
from ..content import Reading
from ..figures import Figures
from ..plan import Case
from .style import FAINT, GRID, INK, READS, SPINE, ceiling, look, no_copy, pattern_of, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["panel"]


def panel(axes: Axes, figures: Figures, reading: Reading) -> None:
    (nbytes,) = figures.plan.sizes
    top = ceiling(figures)
    found = [
        (candidate, figure)
        for candidate in shown(figures.plan.candidates, pattern_of(figures))
        if (figure := figures.get(Case(candidate, nbytes, reading))) is not None
    ]
    found.sort(key=lambda pair: pair[1].median)
    for row, (candidate, figure) in enumerate(found):
        low, middle, high = (rate * nbytes / 1e9 for rate in (figure.lowest, figure.median, figure.highest))
        colour, _ = look(candidate)
        strength = 1.0 if candidate.ours else 0.5
        axes.barh(row, min(middle, top), height=0.62, color=colour, alpha=strength, linewidth=0)
        if middle > top:
            axes.plot(top, row, color=colour, marker=">", markersize=13, clip_on=False)
            said = no_copy(candidate, nbytes, figure).partition(": ")[2].replace("\n", " ")
            axes.text(top * 0.975, row, said, color="white", fontsize=10.5, va="center", ha="right")
            continue
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2, solid_capstyle="butt")
        axes.text(high + top * 0.012, row, f"{middle:#.3g}".rstrip("."), color=INK, fontsize=10.5, va="center")
    axes.set_yticks(range(len(found)), [candidate.label_for(reading) for candidate, _ in found])
    for label, (candidate, _) in zip(axes.get_yticklabels(), found, strict=True):
        label.set(color=look(candidate)[0], fontweight="bold" if candidate.ours else "normal", fontsize=10.5)
    axes.set_xlim(0, top)
    axes.set_title(f"GB/s, arrays of {as_size(nbytes)}; {READS[reading]}", loc="left", fontsize=11.5, color=INK, pad=12)
    axes.tick_params(length=0, pad=6)
    axes.tick_params(axis="x", labelcolor=FAINT, labelsize=11)
    axes.grid(axis="x", color=GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.spines["left"].set(visible=True, color=SPINE)
