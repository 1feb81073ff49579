"""The script ``nptransport``. It stands outside of the package, so that it runs before the package is imported.

That takes a third of a second, in which Python would answer Ctrl-C with the traceback of some module's middle.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["main"]


def main() -> int:
    """Run the command line on ``sys.argv`` and return its exit code."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # and not ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _leave)
    from nptransport.cli import main as run

    try:
        signal.signal(signal.SIGINT, usual)
        return run()
    except KeyboardInterrupt:
        return 130


def _leave(number: int, frame: FrameType | None) -> None:
    """At once: nothing has begun, and an exception in the middle of an import may be taken for something else."""
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
