"""What is typed on the terminal, letter by letter, without waiting."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from types import TracebackType
from typing import Any

__all__ = ["Keys"]

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None  # type: ignore[assignment]


_CHARACTERS = 6  # where tcgetattr has them


class Keys:
    """The keyboard within a ``with`` block, which gives the terminal back as it was; nothing where there is none."""

    def __init__(self) -> None:
        self._terminal: int | None = None
        self._before: list[Any] = []

    def __enter__(self) -> Keys:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # no stdin, or none that is a terminal
            terminal = sys.stdin.fileno()
            # In the background, setting a terminal would stop the process.
            if termios is not None and os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp():
                self._before = termios.tcgetattr(terminal)
                self._terminal = terminal
                tty.setcbreak(terminal, termios.TCSADRAIN)
                modes = termios.tcgetattr(terminal)
                modes[_CHARACTERS][termios.VSUSP] = b"\0"  # Ctrl-Z would leave the terminal as it is now
                termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._terminal is not None:
            with contextlib.suppress(OSError, termios.error):  # the terminal has gone
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
            self._terminal = None

    @property
    def active(self) -> bool:
        """Whether anything can be typed."""
        return self._terminal is not None

    def read(self) -> str:
        """What has been typed since the last time."""
        if self._terminal is None or not select.select([self._terminal], [], [], 0)[0]:
            return ""
        try:
            typed = os.read(self._terminal, 64)
        except OSError:
            typed = b""
        if not typed:  # the terminal has gone: select would say for ever that there is something to read
            self._terminal = None
        return typed.decode("ascii", "ignore")
