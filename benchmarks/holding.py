"""What a process holds."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["held", "resident"]


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process occupies now. Raises OSError or IndexError once it has ended."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held(pid: int | str = "self") -> dict[str, float]:
    """Its megabytes, descriptors and threads. Raises OSError or IndexError once it has ended."""
    places = {"descriptors": "fd", "threads": "task"}
    return {
        "megabytes": resident(pid) / 2**20,
        **{name: len(os.listdir(f"/proc/{pid}/{place}")) for name, place in places.items()},
    }
