"""``nptransport workers``: who works for a broker."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

import nptransport as npt

from ..exits import ExitCode
from ..options import POSITIVE, check_addresses, json_option, security_option
from ..plain import plain
from ..units import counted

__all__ = ["command"]


@click.command("workers", short_help="Show who works for a broker.")
@click.argument("address")
@click.option("--timeout", type=POSITIVE, default=5.0, show_default=True, help="Seconds to wait for the broker.")
@json_option
@security_option
def command(address: str, timeout: float, as_json: bool, security: npt.Curve | None) -> int:
    """Ask the broker whose frontend is at ADDRESS who is there, who is busy, and what has been done.

    \b
    nptransport workers tcp://broker-host:5555
    """
    check_addresses([], [address])
    with npt.Client(connect=address, security=security) as client:
        state: dict[str, Any] = client.call("nptransport.broker", timeout=timeout)
    if as_json:
        click.echo(json.dumps(state))
        return ExitCode.OK
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("worker", "offers"):
        table.add_column(name)
    for name in ("busy", "done", "failed"):
        table.add_column(name, justify="right")
    table.add_column("")
    for worker in state["workers"].values():
        names = Text(plain(str(worker["name"]))), Text(plain(", ".join(worker["methods"])))
        busy = f"{worker['busy']}/{worker['slots']}"
        table.add_row(*names, busy, str(worker["done"]), str(worker["failed"]), "leaving" if worker["leaving"] else "")
    Console(soft_wrap=True).print(table)
    facts = (
        f"{counted(len(state['workers']), 'worker')}, {counted(state['clients'], 'client')}; {state['waiting']} waiting"
        f" and {state['running']} running ({decimal(state['nbytes'])}); {state['results']} results, {state['errors']} "
        f"errors, {state['redelivered']} redelivered, {state['late']} late"
    )
    if state["refused"]:
        reasons = plain(", ".join(sorted(state["refusals"])))
        facts += f"; {counted(state['refused'], 'connection')} refused: {reasons}"
    click.echo(facts)
    return ExitCode.OK
