"""Imported by the fork server alone, and first: no signal ends it but with the command.

Without it no process could be begun, and of those that there are, nobody would learn how they ended.
"""

from __future__ import annotations

from ..signals import ignore_signals

__all__: list[str] = []

ignore_signals()
