"""A terminal that people sit at: a command on a pty, and what its screen shows."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyte
from command_line import wait_until

# Makes the pty its own, as a shell does: only then can it be in the foreground.
_OWN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A command that goes on meanwhile, on a terminal of that size."""

    def __init__(self, command: Sequence[str], columns: int = 120, rows: int = 30, **environment: str) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, self._theirs = os.openpty()
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN, *command],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            env={**_surroundings(), "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    @property
    def lines(self) -> list[str]:
        """What stands on the screen now."""
        self._read()
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def backgrounds(self) -> set[str]:
        """The colours behind all characters."""
        self._read()
        return {cell.bg for row in self._screen.buffer.values() for cell in row.values()}

    @property
    def is_as_before(self) -> bool:
        """Whether it takes whole lines, and shows what is typed, as a shell expects."""
        _, _, _, modes, *_ = termios.tcgetattr(self._theirs)
        return modes & termios.ICANON != 0 and modes & termios.ECHO != 0 and not self._screen.cursor.hidden

    def _read(self) -> None:
        while select.select([self._ours], [], [], 0)[0]:
            self._stream.feed(os.read(self._ours, 65536))

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def wait(self) -> int:
        wait_until(lambda: self._read() or self.process.poll() is not None)  # it may have something to say yet
        assert "Traceback" not in self.text
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


def _surroundings() -> dict[str, str]:
    """The environment but for the size of whatever terminal the tests have."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


@contextmanager
def terminal(*command: str, columns: int = 120, rows: int = 30, **environment: str) -> Iterator[Terminal]:
    """A terminal that does not outlive the test."""
    running = Terminal(command, columns, rows, **environment)
    try:
        yield running
    finally:
        running.close()
