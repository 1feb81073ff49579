"""How much memory the control groups of this process leave to it.

Each group on the way up from ours has a limit of its own, and the first that is reached counts. Both versions are read:
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory and .../cgroup-v1/memory.html.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["find_room"]

# limit, usage, and what of that the system gives up when it has to
_FILES = {
    "cgroup2": ("memory.max", "memory.current", "inactive_file"),
    "cgroup": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def find_room(proc: Path = Path("/proc/self")) -> tuple[int, str] | None:
    """Bytes to be had before a limit is reached, at least 0, and the file that sets it; None without any limit."""
    rooms = [room for version, folder in _groups(proc) if (room := _room(folder, *_FILES[version])) is not None]
    return min(rooms, default=None)


def _groups(proc: Path) -> Iterator[tuple[str, Path]]:
    """The groups that count memory: ours, and all above it."""
    try:
        ours = dict(line.split(":", 2)[1:] for line in (proc / "cgroup").read_text().splitlines())
        mounts = (proc / "mountinfo").read_text().splitlines()
    except (OSError, ValueError):
        return
    memory = next((path for controllers, path in ours.items() if "memory" in controllers.split(",")), None)
    for mount in mounts:
        what, _, how = mount.partition(" - ")
        version, _, options = how.split(" ", 2)
        path = ours.get("") if version == "cgroup2" else memory if "memory" in options.split(",") else None
        if version not in _FILES or path is None:
            continue
        root, point = what.split(" ")[3:5]
        within = PurePosixPath(path)
        # Within a namespace or a container the mount may begin at our group, or below what our path tells.
        inside = within.relative_to(root) if within.is_relative_to(root) else PurePosixPath()
        folder = Path(point) / inside
        yield version, folder
        for _ in inside.parts:
            folder = folder.parent
            yield version, folder


def _room(folder: Path, limit: str, usage: str, cache: str) -> tuple[int, str] | None:
    with contextlib.suppress(OSError, ValueError, StopIteration):  # no such group, or no limit ("max")
        most = int((folder / limit).read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
        given_up = next(int(line.split()[1]) for line in lines if line.startswith(f"{cache} "))
        return max(0, most - int((folder / usage).read_text()) + given_up), str(folder / limit)
    return None
