"""``nptransport`` as people run it: processes, their exit codes, and what they print."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import children
import numpy as np
import pytest

PROGRAM = [sys.executable, "-m", "nptransport"]
BOTH_SIDES = ["--frontend", "tcp://127.0.0.1:*", "--backend", "tcp://127.0.0.1:*"]  # of a proxy, or of a broker
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, links, limits and terminals of POSIX")
PATIENCE = 60.0  # seconds after which a test has failed; nothing waits for that long when all is well


def run(*arguments: str | Path, program: Sequence[str] = PROGRAM) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. Whatever happens, nobody is shown a traceback."""
    command = [*program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What ``run`` gives, from a run of the command in this process: most of the time of a new one goes into imports.

    For what does not depend on how a process starts or ends. What the command sets for its process is set back.
    """
    from nptransport.cli.app import run as run_command  # needs click, which those who only start processes may lack

    command = [*map(str, arguments)]
    handlers, path = logging.getLogger().handlers[:], sys.path[:]
    out, err = io.BytesIO(), io.BytesIO()
    stdout, stderr = (io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) for buffer in (out, err))
    try:
        with warnings.catch_warnings(), redirect_stdout(stdout), redirect_stderr(stderr):
            code = run_command(command)
    finally:
        logging.getLogger().handlers[:], sys.path[:] = handlers, path
    return subprocess.CompletedProcess(command, code, out.getvalue().decode(), err.getvalue().decode())


def events(output: str) -> list[dict[str, Any]]:
    """What ``--json`` printed: each line one object."""
    return [json.loads(line) for line in output.splitlines()]


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What ``condition()`` gives once that is true: a command takes longer to start than what else is waited for."""
    return children.wait_until(condition, patience)


class Running:
    """A command that goes on meanwhile, with ``--json``, to the end of a ``with``. ``folder`` is for what it says."""

    def __init__(
        self, folder: Path, *arguments: str | Path, program: Sequence[str] = PROGRAM, cwd: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        command = [*program, *map(str, arguments), "--json"]
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=cwd)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    def event(self, kind: str) -> dict[str, Any]:
        """The first event of that kind, waited for."""
        return wait_until(lambda: next((event for event in self.events() if event["event"] == kind), None))

    def events(self) -> list[dict[str, Any]]:
        whole, _, _ = self._stdout.read_text().rpartition("\n")
        assert self.process.poll() is None or whole or not self.process.returncode, self.stderr
        return events(whole)

    @property
    def files(self) -> dict[str, str]:
        """Status of each file that has ended."""
        return {event["file"]: event["status"] for event in self.events() if event["event"] == "file"}

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        assert "Traceback" not in self.stderr, self.stderr
        return code


class Receiver(Running):
    """``nptransport recv`` into a folder of its own."""

    def __init__(self, tmp_path: Path, *options: str | Path, out: Path | None = None, **more: Any) -> None:
        self.folder = out or tmp_path / "received"
        super().__init__(tmp_path, "recv", "--bind", "tcp://127.0.0.1:*", "--out", self.folder, *options, **more)
        self.address: str = self.event("listening")["address"]

    def names(self) -> list[str]:
        """Everything in its folder, half-written files as well."""
        return sorted(os.listdir(self.folder)) if self.folder.is_dir() else []


def receiver(tmp_path: Path, *options: str | Path, **more: Any) -> Receiver:
    return Receiver(tmp_path / "recv", *options, **more)


def sender(tmp_path: Path, *arguments: str | Path) -> Running:
    """``nptransport send``, going on meanwhile."""
    return Running(tmp_path / "send", "send", *arguments)


@pytest.fixture(name="small")
def small_fixture(tmp_path: Path) -> Path:
    """A file of 8 KB."""
    path = tmp_path / "small.npy"
    np.save(path, np.arange(1000.0))
    return path
