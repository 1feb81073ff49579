"""Which memory of this process is shared: what the tests of shm:// look at."""

from __future__ import annotations

from pathlib import Path


def memfds(pid="self"):
    """Number of segments that a process maps."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return 0
    return len({line.split()[4] for line in lines if "/memfd:nptransport" in line})


def is_shared(array):
    """Whether ``array`` lies in a segment."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(each, 16) for each in line.split()[0].split("-"))
        if start <= address < end:
            return "/memfd:nptransport" in line
    return False
