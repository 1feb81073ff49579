"""What it was measured on: without that, no figure means anything."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zmq

import nptransport as npt

__all__ = ["Machine", "this_machine"]


class Machine(NamedTuple):
    """The facts, as ``--json`` prints them."""

    cpu: str
    cores: int
    """That this process may use."""
    load: float | None
    """Processes that wanted a core, on average over the last minute; None where the system does not say."""
    kernel: str
    python: str
    numpy: str
    pyzmq: str
    libzmq: str
    nptransport: str


def this_machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        numpy=np.__version__,
        pyzmq=zmq.pyzmq_version(),
        libzmq=zmq.zmq_version(),
        nptransport=npt.__version__,
    )


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
