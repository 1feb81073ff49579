"""Memory that several processes map: a memfd, which has no name and is gone with the last who holds it.

All of it is there from the start, and it cannot shrink: sealed so, nobody gets a SIGBUS.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys

from ..errors import DecodeError, TransportError

__all__ = ["allocate", "attach", "forged", "lacking"]

_MFD_NOEXEC_SEAL = 8  # Linux 6.3; Python has no name for it yet
_F_SEAL_FUTURE_WRITE = 16  # Linux 5.1; the same
_NAME = "nptransport"


def lacking() -> str | None:
    """What this system lacks for shared memory, and what to do about it; None if it is all there."""
    if not sys.platform.startswith("linux") or not hasattr(os, "memfd_create"):
        return f"{sys.platform} has no memfd; use ipc:// or tcp://127.0.0.1:PORT"
    try:
        os.close(_create())
    except OSError as error:
        return f"memfd_create is not permitted here ({error.strerror}): allow it in the sandbox, or use ipc://"
    return None


def _create() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(_NAME, flags | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create(_NAME, flags)


def allocate(size: int, *, others_write: bool = False) -> tuple[int, mmap.mmap]:
    """A descriptor to hand out, and the ``size`` bytes behind it, to write to; whether others may do so, too.

    Raises:
        TransportError: there is not so much memory.
    """
    import fcntl  # not everywhere

    _check_cgroup(size)
    try:
        descriptor = _create()
        try:
            os.posix_fallocate(descriptor, 0, size)  # all of it now, or an error now
            mapped = mmap.mmap(descriptor, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ | mmap.PROT_WRITE)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
            try:
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals | (0 if others_write else _F_SEAL_FUTURE_WRITE))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise _shortage(size, f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})") from None
    return descriptor, mapped


def attach(descriptor: int, *, write: bool = False) -> mmap.mmap:
    """All that is behind a descriptor from somebody else.

    Raises:
        DecodeError: it is no memory that cannot shrink, or not all there.
    """
    import fcntl  # not everywhere

    try:
        status = os.fstat(descriptor)
        sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
        if not sealed or status.st_blocks * 512 < status.st_size or not status.st_size:
            raise forged("memory that is sealed and all there", f"{status.st_size} bytes, sealed: {sealed}")
        access = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        return mmap.mmap(descriptor, status.st_size, mmap.MAP_SHARED | mmap.MAP_POPULATE, access)
    except (OSError, ValueError) as error:
        raise forged("memory that can be mapped", f"{error}") from None


def forged(expected: str, found: str) -> DecodeError:
    return DecodeError.of("shared memory", expected=expected, found=found)


def _shortage(size: int, why: str) -> TransportError:
    return TransportError(
        f"shared memory: {size} bytes more are not to be had: {why}; lower max_bytes, or raise the memory limit of "
        "this machine or container",
        wanted=size,
        found=why,
    )


def _check_cgroup(size: int) -> None:
    """TransportError where the system would rather end the process than refuse so much."""
    for folder, most, now, cache in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with contextlib.suppress(OSError, ValueError):
            with open(f"{folder}/{most}") as limit, open(f"{folder}/{now}") as usage:
                room = int(limit.read()) - int(usage.read())
            if room >= size:
                return
            with open(f"{folder}/memory.stat") as statistics:
                room += next(int(line.split()[1]) for line in statistics if line.startswith(f"{cache} "))
            if room < size:
                raise _shortage(size, f"the memory cgroup ({folder}/{most}) has room for {max(room, 0)}")
