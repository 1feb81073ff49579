"""The command ``nptransport``: what people type, and what they see.

Knows the public surface of the package only. One file a command, in ``commands/``, imported when it is called for:

    app.py        finds the command, runs it, turns whatever goes wrong into one line and an exit code
    commands/     one file for each: its options, and which of the rooms below it calls
    transfer/     files as messages, and messages as files; no option, no terminal
    watch/        what goes by on a stream: the table of ``top``
    picture/      any array as something to look at: ``view``
    pool/         workers as processes
    bench/        what ``bench`` measures, in processes of its own
    demo/         the camera, the viewers and the screen of ``nptransport demo``
    report.py     one line a file, a progress bar or JSON: whatever ``send`` and ``recv`` show
    lookup.py     whether the names of hosts can be resolved
    warned.py     what the library warns of, for commands that serve
    terminal.py   whether there is something to paint on
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line on ``sys.argv`` and return its exit code."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401

        from .app import run
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"nptransport: the command line needs {missing.name}: pip install 'nptransport[cli]'\n")
        return 2
    except KeyboardInterrupt:  # in the middle of the imports, which take their time
        return 130
    return run(sys.argv[1:])
