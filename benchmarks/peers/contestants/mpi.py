"""MPI through mpi4py: Send and Recv of buffers, the upper-case ones, into one warm array; two ranks under mpiexec.

dtype and shape are agreed beforehand, as usual with MPI. What is received is overwritten by the next.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from peers.peer import Peer
from peers.work import Sink, Source, Work

BESIDE_PYTHON = Path(sys.executable).parent  # where pip puts it
MPIEXEC = shutil.which("mpiexec", path=f"{BESIDE_PYTHON}{os.pathsep}{os.environ.get('PATH', '')}")
if MPIEXEC is None:
    raise ImportError("there is no mpiexec")
import mpi4py  # noqa: E402,F401 - mpi4py.MPI only in the ranks: its import initialises MPI


def alone(work: Work, folder: Path) -> float:
    result = folder / "rate"
    code = f"import sys; sys.path += {sys.path!r}; from peers.contestants import mpi; mpi.rank()"
    command = [MPIEXEC, "-n", "2", sys.executable, "-c", code, json.dumps(work), str(result)]
    subprocess.run(command, check=True, timeout=4 * work.seconds + 45)
    return float(result.read_text())


def rank() -> None:
    """The whole of a rank: 0 sends, 1 receives."""
    from mpi4py import MPI

    work, world = Work(*json.loads(sys.argv[1])), MPI.COMM_WORLD
    if world.rank == 0:
        for array in Source(work).arrays():
            world.Send(array, dest=1)
        return
    sink, array = Sink(work, lent=False), np.empty(work.shape, np.int64)
    while not sink.full:
        world.Recv(array, source=0)
        sink.take(array)
    Path(sys.argv[2]).write_text(str(sink.rate()))


PEERS = [Peer("MPI", "Send and Recv of buffers, into one array; both ranks wait busily", alone=alone)]
