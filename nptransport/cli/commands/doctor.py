"""``nptransport doctor``: what this host can do, and what to do about what it cannot."""

from __future__ import annotations

import json

import click

from ..doctor.checks import Finding, examine
from ..exits import ExitCode
from ..options import json_option

__all__ = ["command"]


@click.command("doctor", short_help="What this host can do, and what to do about the rest.")
@json_option
def command(as_json: bool) -> int:
    """Try what the library needs of this host: shared memory, sockets, encryption, limits.

    \b
    Exit code 0: all that is needed works; 1: something does not.

    With --json, one line for each check: name, state (ok, warning, failed), found, advice.
    """
    failed = False
    for finding in examine():
        failed |= finding.state == "failed"
        click.echo(json.dumps(finding._asdict()) if as_json else _line(finding))
    return ExitCode.FAILED if failed else ExitCode.OK


def _line(finding: Finding) -> str:
    line = f"{finding.state:<8}{finding.name:<15}{finding.found}"
    return f"{line}\n{'':<23}-> {finding.advice}" if finding.advice else line
