"""Importing this puts the repository that the scripts lie in first on the path, for their child processes, too.

What is measured is then the nptransport beside them, and not one that is installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).resolve().parents[1]


def first_of(paths: list[str]) -> list[str]:
    """The repository, and then the others."""
    return [str(ROOT), *(path for path in paths if path != str(ROOT))]


sys.path[:] = first_of(sys.path)
inherited = os.environ.get("PYTHONPATH")
os.environ["PYTHONPATH"] = os.pathsep.join(first_of(inherited.split(os.pathsep) if inherited else []))
