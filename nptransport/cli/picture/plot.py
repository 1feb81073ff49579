"""Curves as characters, or as a PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..exits import ExitCode, Stop

__all__ = ["draw_curves", "save_curves"]

Array = np.ndarray[Any, Any]

_AXIS = 25  # characters beside a plot: the numbers on the left, the name of the axis on the right
_LINES = 5  # below and above it
_SMALLEST = 10, 3
_DOTS = 2  # a character, across
_COLOURS = [f"bright_{name}" for name in ("cyan", "yellow", "green", "magenta", "red", "blue", "white", "black")]
_NOTHING = 1e-6  # of the whole range: what is left of 0 by rounding
_SAVED_POINTS = 4000  # of a curve: more than a figure has pixels across


def draw_curves(curves: Array, width: int, height: int, *, colours: bool) -> str:
    """Each row of ``curves`` over its index, as text with ANSI colours; what is not finite is a gap."""
    import plotille

    figure: Any = plotille.Figure()
    figure.width, figure.height = max(_SMALLEST[0], width - _AXIS), max(_SMALLEST[1], height - _LINES)
    figure.with_colors, figure.origin = colours, False
    figure.x_label, figure.y_label = "index", "value"
    figure.register_label_formatter(float, _label)
    finite = curves[np.isfinite(curves)]
    if not finite.size:
        return "nothing in it is finite"
    figure.set_x_limits(*_limits(0, curves.shape[1] - 1))
    figure.set_y_limits(*_limits(float(finite.min()), float(finite.max())))
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        for places, values in _runs(*_envelope(curve, figure.width * _DOTS)):
            figure.plot(places.tolist(), values.tolist(), lc=colour)
    text: str = figure.show()
    return text


def save_curves(curves: Array) -> bytes:
    """The same as a PNG."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise Stop(ExitCode.USAGE, "a plot as PNG needs matplotlib: pip install 'nptransport[view]'") from None
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, curve in enumerate(curves):
        places, values = _envelope(curve, _SAVED_POINTS)
        axes.plot(places, np.where(np.isfinite(values), values, np.nan), label=f"{number}", linewidth=1)
    axes.set_xlabel("index")
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def _envelope(curve: Array, most: int) -> tuple[Array, Array]:
    """Places and values; of a long curve the least and the largest of each stretch, so that no peak is lost."""
    places = np.arange(curve.size)
    if curve.size <= 2 * most:
        return places, curve
    edges = np.linspace(0, curve.size, most, endpoint=False).astype(np.intp)
    finite = np.where(np.isfinite(curve), curve, np.nan)
    values = np.stack([np.fmin.reduceat(finite, edges), np.fmax.reduceat(finite, edges)], axis=1)
    return np.repeat(edges, 2), values.ravel()


def _runs(places: Array, values: Array) -> list[tuple[Array, Array]]:
    """The stretches without a gap."""
    finite = np.isfinite(values)
    ends = np.flatnonzero(np.diff(finite)) + 1
    pieces = zip(np.split(places, ends), np.split(values, ends), np.split(finite, ends), strict=True)
    return [(where, what) for where, what, is_finite in pieces if is_finite[0]]


def _label(value: float, chars: int, delta: float, left: bool = False) -> str:
    text = f"{value if abs(value) > delta * _NOTHING else 0:.5g}"
    return text.ljust(chars) if left else text.rjust(chars)


def _limits(low: float, high: float) -> tuple[float, float]:
    """With room between them, which the axes need."""
    if low < high:
        return low, high
    margin = max(abs(low) / 2, 0.5)
    return low - margin, high + margin
