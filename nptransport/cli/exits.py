"""How a command ends."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode", "Stop"]


class ExitCode(IntEnum):
    """What a command tells the shell."""

    OK = 0
    FAILED = 1
    """The job failed, or a part of it: a file did not get through whole."""
    USAGE = 2
    """Nothing was begun: wrong options, an address or a file that cannot be used, a missing package."""
    TIMEOUT = 3
    """The other side was not there in time, or fell silent."""
    INTERRUPTED = 130
    """Ctrl-C. Other signals end with 128 and their number, too."""


class Stop(Exception):
    """Ends a command with one line for people, and an exit code for the shell."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code
