"""The figures of a run, as text, as Markdown and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

__all__ = ["Figures", "machine", "size_text", "sizes_of"]

UNITS = {"GB": 10**9, "MB": 10**6, "KB": 1000, "B": 1}
LIBRARIES = ["numpy", "pyzmq", "imagezmq", "distributed", "ezmsg", "iceoryx2", "eclipse-zenoh", "pyarrow", "ray"]
LIBRARIES += ["mpi4py", "mpich"]


def sizes_of(text: str) -> list[int]:
    """``64KB,6.2MB`` in bytes, decimal units. Raises ValueError."""
    sizes = []
    for each in text.upper().split(","):
        unit = next(unit for unit in UNITS if each.endswith(unit)) if each[-1:] == "B" else ""
        sizes.append(round(float(each.removesuffix(unit)) * UNITS.get(unit, 1)))
        if sizes[-1] < 1:
            raise ValueError(f"{each}: less than a byte")
    return sizes


def size_text(size: int) -> str:
    unit, factor = next((unit, factor) for unit, factor in UNITS.items() if size >= factor)
    return f"{size / factor:g} {unit}"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    try:
        with open("/proc/cpuinfo") as lines:
            model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "libraries": versions,
    }


@dataclass
class Figures:
    """Arrays a second of each contestant and size, a round each; why one failed at a size."""

    sizes: list[int]
    names: list[str]
    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    failures: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, name: str, size: int, rate: float) -> None:
        self.rates.setdefault((name, size), []).append(rate)

    def median(self, name: str, size: int) -> float | None:
        """None where it failed, in whatever round."""
        if (name, size) in self.failures or (name, size) not in self.rates:
            return None
        return statistics.median(self.rates[name, size])

    def text(self) -> str:
        lines = [f"{'arrays a second, medians':30}" + "".join(f"{size_text(size):>26}" for size in self.sizes)]
        for name in self.names:
            cells = (self._cell(name, size) for size in self.sizes)
            lines.append(f"{name:30}" + "".join(f"{cell:>26}" for cell in cells))
        return "\n".join(lines)

    def _cell(self, name: str, size: int) -> str:
        median = self.median(name, size)
        if median is None:
            return "failed"
        rates = self.rates[name, size]
        return f"{number(median)} [{number(min(rates))}-{number(max(rates))}]"

    def markdown(self) -> str:
        """Medians, with half the range of the rounds."""
        lines = [row(["arrays a second", *map(size_text, self.sizes)]), row(["---", *("---:" for _ in self.sizes)])]
        lines += [row([name, *(self._markdown_cell(name, size) for size in self.sizes)]) for name in self.names]
        return "\n".join(lines)

    def _markdown_cell(self, name: str, size: int) -> str:
        median = self.median(name, size)
        if median is None:
            return "failed"
        rates = self.rates[name, size]
        return f"{number(median)} ±{(max(rates) - min(rates)) / 2 / median:.0%}"

    def as_json(self) -> dict[str, Any]:
        found = [{"name": name, "size": size, "rates": rates} for (name, size), rates in self.rates.items()]
        failed = [{"name": name, "size": size, "why": why} for (name, size), why in self.failures.items()]
        return {"machine": machine(), "figures": found, "failures": failed}


def row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
