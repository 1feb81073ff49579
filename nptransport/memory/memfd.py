"""Memory that several processes map: a memfd, which has no name and is gone with the last who holds it.

All of it is there from the start, and it cannot shrink: sealed so, nobody gets a SIGBUS.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys

from ..errors import DecodeError, TransportError
from .cgroup import find_room

__all__ = ["allocate", "attach", "describe", "forged", "lacking", "remedy"]

_MFD_NOEXEC_SEAL = 8  # Linux 6.3; Python has no name for it yet
_F_SEAL_FUTURE_WRITE = 16  # Linux 5.1; the same
_NAME = "nptransport"
_FORBIDDEN = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_LESS_MEMORY = "lower max_bytes, or raise the memory limit of this machine or container"
_REMEDIES: dict[int | None, str] = {
    errno.EMFILE: "raise the limit on open files (ulimit -n), or close some",
    errno.ENFILE: "raise the system's limit on open files (sysctl fs.file-max)",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), which counts for shared memory, too",
    errno.ENOMEM: "raise the limit on this process's address space (ulimit -v), or hold fewer arrays",
}


def lacking() -> str | None:
    """What this system lacks for shared memory, and what to do about it; None if it is all there."""
    if not sys.platform.startswith("linux") or not hasattr(os, "memfd_create"):
        return f"{sys.platform} has no memfd; use ipc:// or tcp://127.0.0.1:PORT"
    try:
        descriptor, mapped = _allocate(mmap.PAGESIZE, False)
    except OSError as error:
        if error.errno in _FORBIDDEN:
            return f"no shared memory can be made here: {describe(error)}; {remedy(error)}"
        return None  # what is short now may be there when it is needed
    os.close(descriptor)
    mapped.close()
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
    room = find_room()
    if room is not None and room[0] < size:  # the system would end this process rather than refuse so much
        raise _shortage(size, f"the memory cgroup ({room[1]}) has room for {room[0]}", _LESS_MEMORY)
    try:
        return _allocate(size, others_write)
    except OSError as error:
        raise _shortage(size, describe(error), remedy(error)) from None


def _allocate(size: int, others_write: bool) -> tuple[int, mmap.mmap]:
    import fcntl  # not everywhere

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
    return descriptor, mapped


def attach(descriptor: int, *, write: bool = False) -> mmap.mmap:
    """All that is behind a descriptor from somebody else.

    Raises:
        DecodeError: it is no memory that cannot shrink, or not all there.
        OSError: this process cannot map it.
    """
    import fcntl  # not everywhere

    try:
        sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    except OSError:
        raise forged("a memfd", "something else") from None
    status = os.fstat(descriptor)
    huge = os.fstatvfs(descriptor).f_bsize > mmap.PAGESIZE  # hugetlbfs, where to touch a page may be a SIGBUS
    if not sealed or huge or status.st_blocks * 512 < status.st_size or not status.st_size:
        raise forged("memory that is sealed and all there", f"{status.st_size} bytes, sealed: {sealed}")
    access = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
    try:
        return mmap.mmap(descriptor, status.st_size, mmap.MAP_SHARED | mmap.MAP_POPULATE, access)
    except OSError as error:
        if error.errno == errno.EACCES or (write and error.errno == errno.EPERM):
            # It was not opened for that, or is sealed.
            raise forged("memory that can be mapped", describe(error)) from None
        raise


def forged(expected: str, found: str) -> DecodeError:
    return DecodeError.of("shared memory", expected=expected, found=found)


def remedy(error: OSError) -> str:
    """What to do where memory cannot be made or mapped."""
    if error.errno in _FORBIDDEN:
        return "allow memfd_create, fallocate and mmap in the sandbox, or use ipc://"
    return _REMEDIES.get(error.errno, _LESS_MEMORY)


def _shortage(size: int, why: str, what_to_do: str) -> TransportError:
    text = f"shared memory: {size} bytes more are not to be had: {why}; {what_to_do}"
    return TransportError(text, wanted=size, found=why)


def describe(error: OSError) -> str:
    """What the system said, and by which number."""
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
