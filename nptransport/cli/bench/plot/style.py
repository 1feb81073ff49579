"""Colours, and what is drawn at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...units import as_size
from ..candidates import Candidate
from ..cells import as_count
from ..figures import Figure, Figures

__all__ = ["FAINT", "GRID", "INK", "READS", "SPINE", "ceiling", "look", "no_copy", "pattern_of", "shown"]

INK, FAINT, GRID, SPINE = "#22262b", "#6f7780", "#e6e8eb", "#c4c8cd"
READS = {"touch": "the reader touches each array", "read": "the reader adds up every element"}

# Colours that stay apart for the colour-blind (Okabe and Ito): one for each transport of ours, ink for pyzmq.
_COLOURS = {"shm": "#009e73", "ipc": "#0072b2", "tcp": "#d55e00"}
_BARE = {"ipc": INK, "tcp": "#7b5f4b"}
_DOTTED, _DASHED, _DASH_DOTTED = (0, (1, 1.4)), (0, (5, 1.6)), (0, (4, 1.6, 1, 1.6))
_HEADROOM = 1.3  # above the fastest that copies


def look(candidate: Candidate) -> tuple[str, Any]:
    """Colour and line style."""
    way = candidate.program.partition(".")[2]
    if candidate.face == "system":
        return FAINT, _DASH_DOTTED if way == "memcpy" else _DOTTED
    if candidate.face == "pyzmq":
        return _BARE[candidate.transport], _DASHED if way == "multipart" else "-"
    return _COLOURS[candidate.transport], _DASHED if way in ("lent", "loan") else "-"


def pattern_of(figures: Figures) -> str:
    """The one that is drawn: streams, if they were measured."""
    patterns = {candidate.pattern for candidate in figures.plan.candidates}
    return "stream" if "stream" in patterns else patterns.pop()


def shown(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Where both faces were measured, the sync one: more lines than a dozen say nothing."""
    found = [each for each in candidates if each.pattern == pattern]
    sync = any(each.face == "sync" for each in found)
    return [each for each in found if not (sync and each.face == "asyncio")]


def ceiling(figures: Figures) -> float:
    """Where the scale ends, in GB/s. What copies nothing moves any size in the same time, and needs no part of it."""
    drawn = shown(figures.plan.candidates, pattern_of(figures))
    return _HEADROOM * max(
        (
            figure.highest * case.nbytes / 1e9
            for case, figure in figures
            if case.candidate in drawn and case.candidate.copies(case.reading)
        ),
        default=float("inf"),
    )


def no_copy(candidate: Candidate, nbytes: int, figure: Figure) -> str:
    """The label of what is off the scale at the largest size, of ``nbytes``."""
    return f"{candidate.label}: off the scale,\nno copy, {as_count(figure.median)}/s of {as_size(nbytes)}"
