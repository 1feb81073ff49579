"""Finds the command that was typed and runs it. Whatever goes wrong becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence

import click

import nptransport as npt

from .exits import ExitCode, Stop

__all__ = ["program", "run"]

# A new command: a file in commands/ whose `command` is a click.Command, and its name here.
_COMMANDS = ["send", "recv", "top", "view", "proxy", "broker", "worker", "workers", "keygen", "doctor", "bench", "demo"]
_INSIDE = ["demo-camera", "demo-viewer"]  # processes of the demo, hidden from the help

_TRACEBACK = "NPTRANSPORT_TRACEBACK"


class _Commands(click.Group):
    """The commands, each imported when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _COMMANDS

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS + _INSIDE:
            return None
        module = importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)
        command: click.Command = module.command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(npt.__version__, prog_name="nptransport", message="%(prog)s %(version)s")
def program() -> None:
    """NumPy arrays from one process to another, over ZeroMQ.

    \b
    Exit codes: 0 all went well        1 the job failed, or a part of it
                2 wrong usage, address, or file
                3 the other side was not there in time
                130 Ctrl-C, which is how proxy, broker and worker end as a rule: with 0
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; its exit code."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # NumPy's and Pillow's are for programmers
    logging.getLogger().addHandler(logging.NullHandler())  # our commands say it in their own words
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    code, line = _attempt(arguments)
    if line:
        with contextlib.suppress(OSError):
            click.echo(f"nptransport: {_one_line(line)}", err=True)
    try:
        sys.stdout.flush()
    except OSError:  # whoever read our output has gone; let the interpreter not complain about it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _attempt(arguments: Sequence[str]) -> tuple[int, str]:
    """Exit code, and what to say about it if that has not been said."""
    try:
        result = program.main(list(arguments) or ["--help"], prog_name="nptransport", standalone_mode=False)
        if not arguments:
            return ExitCode.USAGE, ""
        return (result if isinstance(result, int) else ExitCode.OK), ""
    except Stop as stop:
        return stop.code, str(stop)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "nptransport"
        return ExitCode.USAGE, f"{error.format_message()} (see {path} --help)"
    except click.ClickException as error:
        return ExitCode.USAGE, error.format_message()
    except npt.AddressError as error:
        return ExitCode.USAGE, str(error)
    except npt.Timeout as error:
        return ExitCode.TIMEOUT, str(error)
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED, "interrupted"
    except BrokenPipeError:
        return ExitCode.FAILED, ""
    except npt.TransportError as error:
        return ExitCode.FAILED, str(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else "cannot write: " if error.errno == errno.ENOSPC else ""
        return ExitCode.FAILED, f"{where}{error.strerror or error}"
    except MemoryError as error:
        return ExitCode.FAILED, f"not enough memory: {error}"
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        what = f"{type(error).__name__}: {error}"
        return ExitCode.FAILED, f"a bug of nptransport's: {what}. Please report it, with what {_TRACEBACK}=1 shows"


def _one_line(text: str) -> str:
    """What can neither end the line nor paint on the terminal: names of files and what peers say are part of it."""
    letters = " ".join(text.split())
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in letters)


def _open_closed_streams() -> None:
    """Whoever started us with ``>&-`` does not want to read; but the next socket must not become our stdout."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
