"""What the scripts do with arguments that are wrong, and with Ctrl-C: one line, and the exit status of each."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

__all__ = ["Parser", "count", "positive", "status_of", "whole", "writable"]

INTERRUPTED = 128 + 2  # what a shell says of SIGINT


class Parser(argparse.ArgumentParser):
    """Its help is the manual at the top of the script; its errors are one line, with exit status 2."""

    def __init__(self, manual: str | None) -> None:
        super().__init__(description=manual, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def count(text: str, least: int = 1) -> int:
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        number = -1
    if number < least:
        raise argparse.ArgumentTypeError(f"a whole number from {least} on is needed, not {text!r}")
    return number


def whole(text: str) -> int:
    return count(text, 0)


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not {text!r}")
    return number


def writable(text: str) -> Path:
    """A file that can be written at the end of a run; nothing is written yet."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path


def status_of(main: Callable[[], int]) -> int:
    """Of the script; Ctrl-C ends it without a traceback."""
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
