"""Each check looks at one thing that this host has or lacks, and says what to do about it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import nptransport as npt
from nptransport.memory.cgroup import find_room

__all__ = ["Finding", "examine"]

_MB = 1_000_000
_BYTES = 8 * _MB  # sent for a trial


class Finding(NamedTuple):
    """What came of a check."""

    name: str
    state: str
    """ok, warning or failed."""
    found: str
    advice: str = ""
    """What to do about it; empty where nothing has to be done."""


def examine() -> Iterator[Finding]:
    """All checks, one after the other."""
    for name, check in _CHECKS.items():
        try:
            yield check(name)
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from being made
            yield Finding(name, "warning", f"could not be checked: {type(error).__name__}: {error}")


def _trial(address: str) -> None:
    """Send something large from here to here."""
    sent = np.arange(_BYTES // 8)
    with npt.Consumer(bind=address) as consumer, npt.Producer(connect=consumer.address, linger=0) as producer:
        producer.send(sent, timeout=5)
        received = consumer.recv(timeout=5)
        if not np.array_equal(received, sent):
            raise ValueError("what arrived is not what was sent")


def _shared_memory(name: str) -> Finding:
    address = f"shm://doctor-{os.getpid()}"
    try:
        _trial(address)
    except npt.TransportError as error:
        return Finding(name, "failed", f"shm:// does not work: {error}", "use ipc:// or tcp:// meanwhile")
    return Finding(name, "ok", f"shm:// works: {_BYTES // _MB} MB went through it and are right")


def _memory_room(name: str) -> Finding:
    room = _available()
    if room is None:
        return Finding(name, "warning", "unknown on this system")
    what = f"{room // _MB} MB for shared memory and all else"
    if room < 512 * _MB:
        return Finding(name, "warning", what, "raise the memory limit of this container, or lower max_bytes (384 MiB)")
    return Finding(name, "ok", what)


def _available() -> int | None:
    lines = _read("/proc/meminfo").splitlines()
    rooms = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    limited = find_room()
    if limited is not None:
        rooms.append(limited[0])
    return min(rooms, default=None)


def _dev_shm(name: str) -> Finding:
    if not os.path.isdir("/dev/shm"):
        return Finding(name, "ok", "there is none; shm:// does without")
    status = os.statvfs("/dev/shm")
    free = status.f_bavail * status.f_frsize
    return Finding(name, "ok", f"{free // _MB} MB free; shm:// does without, other libraries may not")


def _ipc(name: str) -> Finding:
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        try:
            _trial(f"ipc://{folder}/s")
        except npt.TransportError as error:
            return Finding(name, "failed", f"ipc:// does not work: {error}", "use tcp://127.0.0.1:PORT")
    return Finding(name, "ok", "ipc:// works")


def _tcp(name: str) -> Finding:
    try:
        _trial("tcp://127.0.0.1:*")
    except npt.TransportError as error:
        return Finding(name, "failed", f"tcp:// does not work: {error}", "look whether the loopback interface is up")
    return Finding(name, "ok", "tcp:// works")


def _libzmq(name: str) -> Finding:
    import zmq

    found = f"libzmq {zmq.zmq_version()}, pyzmq {zmq.pyzmq_version()}"
    if zmq.zmq_version_info() < (4, 3, 4):
        return Finding(name, "warning", found, "install pyzmq 25.1 or later, which brings 4.3.4")
    return Finding(name, "ok", found)


def _curve(name: str) -> Finding:
    import zmq

    if zmq.has("curve"):
        return Finding(name, "ok", "libzmq can encrypt (CURVE)")
    return Finding(name, "warning", "this libzmq cannot encrypt", "install the wheels of pyzmq, which can")


def _descriptors(name: str) -> Finding:
    if sys.platform == "win32":
        return Finding(name, "ok", "not limited in this way")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} open files (at most {hard})"
    if soft < 1024:
        return Finding(name, "warning", found, "ulimit -n 4096: each connection and each segment takes some")
    return Finding(name, "ok", found)


def _huge_pages(name: str) -> Finding:
    path = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
    text = _read(path)
    if not text:
        return Finding(name, "ok", "this system has none for shared memory; it works without")
    chosen = text[text.find("[") + 1 : text.find("]")]
    if chosen in ("advise", "within_size", "always", "force"):
        return Finding(name, "ok", f"used for shared memory ({chosen})")
    advice = f"echo advise > {path} (as root) makes the first use of large segments faster"
    return Finding(name, "ok", f"not used for shared memory ({chosen})", advice)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


_CHECKS: dict[str, Callable[[str], Finding]] = {
    "shared memory": _shared_memory,
    "memory": _memory_room,
    "/dev/shm": _dev_shm,
    "ipc": _ipc,
    "tcp": _tcp,
    "libzmq": _libzmq,
    "encryption": _curve,
    "open files": _descriptors,
    "huge pages": _huge_pages,
}
