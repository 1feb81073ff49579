"""What the judge has found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

__all__ = ["Findings"]


@dataclass
class Findings:
    """Violations, what was counted, and what cannot be known."""

    violations: list[str]
    counts: Counter[str]
    unknown: Counter[str]
    """Messages of which nobody can say what became of them, by why."""

    def break_(self, rule: str, where: str, text: str) -> None:
        """A promise is broken."""
        self.violations.append(f"{rule}: {where}: {text}")
