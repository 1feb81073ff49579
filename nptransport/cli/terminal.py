"""What stderr is, before anything is painted there."""

from __future__ import annotations

import os
import sys

__all__ = ["can_repaint"]


def can_repaint() -> bool:
    """Whether what is shown on stderr can be painted over: a terminal, and one that moves its cursor when told to."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
