"""Senders and readers killed at random instants; benchmarks/shm_kills.py does the same a thousand times."""

from __future__ import annotations

from children import BENCHMARKS, run_python
from faces import needs_shm


@needs_shm
def test_nothing_is_left_and_nothing_is_wrong():
    done = run_python(BENCHMARKS / "shm_kills.py", "--kills", 8, "--seed", 5, "--no-stalls")
    assert done.returncode == 0, done.stdout + done.stderr
    for nothing in ("0 wrong checksums", "0 segments left", "0 sockets left"):
        assert done.stdout.count(nothing) == 2, done.stdout
