"""Other processes for tests to start, stop and kill, and waiting."""

from __future__ import annotations

import contextlib
import inspect
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import nptransport as npt

PATIENCE = 15  # seconds: far more than anything here takes, so that a failing test ends nevertheless
POLL = 0.005

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def wait_until(condition, patience=PATIENCE):
    """What ``condition()`` gives once that is true; AssertionError if it never is."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain for " + inspect.getsource(condition).strip()
        time.sleep(POLL)
    return value


def run_python(*arguments, **environment):
    """What came of ``python`` with these arguments, once it has ended."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env=_environment(**environment), capture_output=True, text=True, timeout=120, check=False
    )


def _environment(**more):
    """With this package, whatever is installed, and with what the tests share."""
    roots = [str(Path(npt.__file__).parents[1]), str(Path(__file__).parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(roots), **more}


class Child:
    """Another Python process. Its script has ``np``, ``npt``, ``args``, and ``say`` and ``hear``."""

    _PRELUDE = """
        import functools, os, sys, threading, time
        import numpy as np
        import nptransport as npt
        args = sys.argv[1:]
        say = functools.partial(print, flush=True)
        hear = sys.stdin.readline
    """

    def __init__(self, script, args, within=()):
        source = textwrap.dedent(self._PRELUDE) + textwrap.dedent(script)
        self.process = subprocess.Popen(
            [*within, sys.executable, "-W", "error", "-c", source, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=_environment(),
        )
        self.errors = ""
        self._lines = queue.SimpleQueue()
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def _read_errors(self):
        self.errors = self.process.stderr.read()

    def hear(self):
        """The next line that the child says."""
        line = self._lines.get(timeout=PATIENCE)
        if line is None:
            self.wait()
            raise AssertionError(f"the child ended without a word: {self.errors}")
        return line

    def say(self, line=""):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self):
        """Freeze it, all its threads included, and return once it is frozen."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """At once, and what it has forked."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def wait(self):
        """Its exit status, once it has ended."""
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        return status

    def resident_bytes(self):
        """Memory that it occupies now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.kill()
        self.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture(name="spawn")
def spawn_fixture():
    """``spawn(script, *args)`` runs a script in another process, which ends with the test.

    ``within=`` is a command that runs another one, as ``ip netns exec NAME``.
    """
    children = []

    def spawn(script, *args, within=()):
        children.append(Child(script, args, within))
        return children[-1]

    yield spawn
    for child in children:
        child.end()
