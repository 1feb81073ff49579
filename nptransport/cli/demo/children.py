"""The processes of the demo: started, watched, ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO

from ..exits import ExitCode, Stop

__all__ = ["Children"]


class Children:
    """Processes that run commands of ours, and do not outlive the ``with`` block."""

    def __init__(self) -> None:
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(self, command: str, *options: str) -> None:
        """Run ``nptransport COMMAND OPTIONS`` as a fresh interpreter, never as a fork: ZeroMQ does not survive that."""
        complaints = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads could fill up
        arguments = [sys.executable, "-m", "nptransport_command", command, *options]
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints, close_fds=True
        )
        self._running.append((process, complaints))

    def check(self) -> None:
        """Stop if one of them has failed."""
        for process, complaints in self._running:
            if process.poll():
                complaints.seek(0)
                lines = complaints.read().decode(errors="replace").splitlines() or [f"exit code {process.returncode}"]
                said = lines[-1].removeprefix("nptransport: ")
                raise Stop(ExitCode.FAILED, f"a process of the demo failed: {said}")

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process, complaints in self._running:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            complaints.close()
