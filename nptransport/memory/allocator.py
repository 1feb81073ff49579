"""What malloc does with the memory of messages that have been received, and why that matters."""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["keep_freed_memory"]

_BLOCK = 2**25 - 2**16  # the largest that glibc learns from: DEFAULT_MMAP_THRESHOLD_MAX less what it adds itself


@functools.cache
def keep_freed_memory() -> None:
    """Teach glibc to keep up to 64 MB of what is freed, as it does by itself once a program has freed a block so large.

    libzmq takes each message from malloc. By default glibc gives the top of its heap back to the system above twice the
    largest block ever freed (mallopt(3), M_TRIM_THRESHOLD), and the next message faults every page in anew: up to a
    third of the time that it takes to receive 1 MB. The block here is never touched, and so costs nothing. A program
    that has set these thresholds itself has switched the learning off, and nothing changes.
    """
    np.empty(_BLOCK, np.uint8)
