"""Memory that several processes map: a memfd, which has no name and is gone with the last who holds it.

    0         magic, bytes of a slot, number of slots
    64        for each slot: generation of the message in it, 0 while there is none; bytes that it uses
    4096      the slots, one behind the other

Only its owner can write to it, and all of it is there from the start: sealed so, nobody gets a SIGBUS.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import mmap
import os
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DecodeError, MemoryLost, TransportError

__all__ = ["HEADER", "MOST_SLOTS", "Mapping", "Segment", "lacking"]

HEADER = 4096
_MAGIC = b"npt-shm\x01"
_GEOMETRY = struct.Struct("<8sQQ")
_STAMP = struct.Struct("<QQ")
_STAMPS = 64
MOST_SLOTS = (HEADER - _STAMPS) // _STAMP.size

_MFD_NOEXEC_SEAL = 8  # Linux 6.3; Python has no name for it yet
_F_SEAL_FUTURE_WRITE = 16  # Linux 5.1; the same
_NAME = "nptransport"
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


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


class Segment:
    """The owner's side: ``slots`` pieces of ``slot_bytes`` each, to write into.

    Raises:
        TransportError: there is not so much memory.
    """

    def __init__(self, number: int, slot_bytes: int, slots: int) -> None:
        import fcntl  # not everywhere

        self.number = number
        self.slot_bytes, self.slots = slot_bytes, slots
        self.nbytes = slot_bytes * slots
        size = HEADER + self.nbytes
        _check_cgroup(size)
        try:
            self.descriptor = _create()
            try:
                os.posix_fallocate(self.descriptor, 0, size)  # all of it now, or an error now
                self._map = mmap.mmap(
                    self.descriptor, size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ | mmap.PROT_WRITE
                )
                seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
                try:
                    fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals | _F_SEAL_FUTURE_WRITE)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
            except BaseException:
                os.close(self.descriptor)
                raise
        except OSError as error:
            raise _shortage(size, f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})") from None
        with contextlib.suppress(OSError, AttributeError):
            self._map.madvise(mmap.MADV_HUGEPAGE)
        _GEOMETRY.pack_into(self._map, 0, _MAGIC, slot_bytes, slots)
        self._bytes: Bytes = np.frombuffer(self._map, np.uint8)

    def slot(self, index: int) -> Bytes:
        start = HEADER + index * self.slot_bytes
        return self._bytes[start : start + self.slot_bytes]

    def stamper(self, index: int) -> Callable[[int, int], None]:
        """Says which message is in a slot, by generation and bytes; or with 0 and 0 that there is none any more."""
        return functools.partial(_STAMP.pack_into, self._map, _STAMPS + index * _STAMP.size)

    def close(self) -> None:
        """Let go of it: the memory is freed once nobody else maps it."""
        os.close(self.descriptor)
        del self._bytes, self._map


class Mapping:
    """A reader's side, which nobody in this process can write to.

    Raises:
        DecodeError: ``descriptor`` is no segment that cannot shrink, or not all there.
    """

    def __init__(self, descriptor: int) -> None:
        import fcntl  # not everywhere

        try:
            status = os.fstat(descriptor)
            sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
            if not sealed or status.st_blocks * 512 < status.st_size or status.st_size <= HEADER:
                raise _forged("a segment that is sealed and all there", f"{status.st_size} bytes, sealed: {sealed}")
            self._map = mmap.mmap(descriptor, status.st_size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise _forged("a segment that can be mapped", f"{error}") from None
        magic, self._slot_bytes, self._slots = _GEOMETRY.unpack_from(self._map, 0)
        wanted = HEADER + self._slot_bytes * self._slots
        if magic != _MAGIC or self._slots > MOST_SLOTS or wanted != status.st_size:
            raise _forged(f"{status.st_size} bytes", f"{self._slots} slots of {self._slot_bytes}")
        self._bytes: Bytes = np.frombuffer(self._map, np.uint8)

    def read(self, index: int, generation: int) -> Bytes:
        """The bytes of the message in a slot. DecodeError if it is not the one of that ``generation``.

        Each call gives another array: that one has gone shows that nobody looks at the message any more.
        """
        if index >= self._slots:
            raise _forged(f"a slot below {self._slots}", f"{index}")
        found, used = _STAMP.unpack_from(self._map, _STAMPS + index * _STAMP.size)
        if found != generation or used > self._slot_bytes:
            raise MemoryLost.of(
                "shared memory",
                expected=f"message {generation} in its slot",
                found=f"message {found}: it is stale, or was never sent",
            )
        start = HEADER + index * self._slot_bytes
        return self._bytes[start : start + used]


def _forged(expected: str, found: str) -> DecodeError:
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
