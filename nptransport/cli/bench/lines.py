"""What ``--json`` prints: one object a line, whose keys stay as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .candidates import named
from .figures import Figures
from .machine import Machine

__all__ = ["result_lines", "summary_line"]


def result_lines(figures: Figures, machine: Machine) -> Iterator[str]:
    """machine, then result and missing."""
    yield json.dumps({"event": "machine", **machine._asdict()})
    for case, figure in figures:
        candidate = case.candidate
        yield json.dumps(
            {
                "event": "result",
                "name": candidate.name,
                "pattern": candidate.pattern,
                "transport": candidate.transport,
                "face": candidate.face,
                "reading": case.reading,
                "bytes": case.nbytes,
                "median": figure.median,
                "lowest": figure.lowest,
                "highest": figure.highest,
                "rates": figure.rates,
                "bytes_per_second": figure.median * case.nbytes,
                "to_pyzmq": figure.to_pyzmq,
                "to_pyzmq_of": "times" if candidate.timed else "rates",
            }
        )
    for name, why in figures.missing.items():
        yield json.dumps({"event": "missing", "name": name, "pattern": named(name).pattern, "reason": why})


def summary_line(figures: Figures, code: int) -> str:
    """The last one."""
    return json.dumps(
        {"event": "summary", "rounds": figures.rounds, "seconds": round(figures.seconds, 3), "exit": code}
    )
