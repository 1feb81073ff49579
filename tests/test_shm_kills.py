"""Senders and readers killed at random instants; benchmarks/shm_kills.py does the same a thousand times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "shm_kills.py"


@pytest.mark.skipif(sys.platform != "linux", reason="shm:// needs Linux")
def test_nothing_is_left_and_nothing_is_wrong():
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    command = [sys.executable, str(SCRIPT), "--kills", "8", "--seed", "5", "--no-stalls"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for nothing in ("0 wrong checksums", "0 segments left", "0 sockets left"):
        assert done.stdout.count(nothing) == 2, done.stdout
