"""Several processes that do the same, each started again when it dies."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from ..signals import Interruption

__all__ = ["Crew"]

_LOOK = 0.05
_SHORT = 1.0  # seconds: who does not live longer than that is started again with a pause
_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_GENTLY = (0, -signal.SIGTERM, 128 + signal.SIGTERM)  # the others: ended before it had begun


class _Member:
    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.pause = 0.0
        self.due = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.born = time.monotonic()
        # In a session of its own: a terminal's Ctrl-C is for who leads, who passes it on.
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True)

    def buried(self) -> int | None:
        """The exit code of one that has died and is to be started again."""
        code = self.process.poll() if self.process is not None else None
        if code is not None:
            now = time.monotonic()
            short = now - self.born < _SHORT
            self.pause = min(_LONGEST_PAUSE, max(_PAUSE, 2 * self.pause)) if short else 0.0
            self.due, self.process = now + self.pause, None
        return code


class Crew:
    """Keeps ``count`` processes of ``command`` alive.

    Args:
        on_death: told the exit code of each that dies.
    """

    def __init__(self, command: Sequence[str], count: int, on_death: Callable[[int], None]) -> None:
        self._members = [_Member(command) for _ in range(count)]
        self._on_death = on_death

    def work(self, interruption: Interruption) -> None:
        """Until somebody wants it to end."""
        while not interruption:
            for member in self._members:
                code = member.buried()
                if code is not None:
                    self._on_death(code)
                if member.process is None and time.monotonic() >= member.due:
                    member.start()
            time.sleep(_LOOK)

    def end(self, grace: float) -> bool:
        """Ask all to end, and kill those that have not within ``grace`` seconds, or once we are asked to end at once;
        whether each ended by itself."""
        living = [member.process for member in self._members if member.process is not None]
        for process in living:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace
        gently = True
        try:
            for process in living:
                try:
                    gently = process.wait(max(0.0, deadline - time.monotonic())) in _GENTLY and gently
                except subprocess.TimeoutExpired:
                    gently = False
        finally:
            for process in living:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        return gently
