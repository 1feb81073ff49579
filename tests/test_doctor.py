"""``nptransport doctor``: says what this host can do, and fails where something that is needed does not work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PROGRAM, events, run, run_here

linux = pytest.mark.skipif(sys.platform != "linux", reason="shm:// needs Linux")


def test_it_looks_at_everything() -> None:
    done = run("doctor", "--json")
    found = {each["name"]: each for each in events(done.stdout)}
    assert {"shared memory", "memory", "ipc", "tcp", "libzmq", "encryption", "open files", "huge pages"} <= set(found)
    assert {each["state"] for each in found.values()} <= {"ok", "warning", "failed"}
    assert done.returncode == any(each["state"] == "failed" for each in found.values())
    lines = run_here("doctor").stdout
    assert all(name in lines for name in found)


@linux
def test_a_host_that_lacks_something_fails_with_advice() -> None:
    environment = {**os.environ, "NPTRANSPORT_SHM_DIR": "/proc/nobody/can/make/this"}
    done = subprocess.run([*PROGRAM, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    found = {each["name"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found["shared memory"]["state"] == "failed"
    assert found["shared memory"]["advice"]
    assert found["tcp"]["state"] == "ok"


@linux
def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    environment = {**os.environ, "NPTRANSPORT_SHM_DIR": str(tmp_path)}
    done = subprocess.run([*PROGRAM, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False)
    assert "works" in done.stdout
    assert list(tmp_path.iterdir()) == []
