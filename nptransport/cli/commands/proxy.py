"""``nptransport proxy``: many publishers and many subscribers at one address each."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..options import as_limits, check_addresses, json_option, limit_option, security_option, tell_if_open
from ..signals import interruptible, serve_until
from ..warned import warnings_said

__all__ = ["command"]


@click.command("proxy", short_help="Pass on what publishers send to who subscribes.")
@click.option("--frontend", metavar="ADDRESS", multiple=True, help="Where publishers connect; may be repeated.")
@click.option("--backend", metavar="ADDRESS", multiple=True, help="Where subscribers connect; may be repeated.")
@click.option("--connect-frontend", metavar="ADDRESS", multiple=True, help="A publisher that waits there for it.")
@click.option("--connect-backend", metavar="ADDRESS", multiple=True, help="A subscriber that waits there for it.")
@click.option("--retain", is_flag=True, help="Keep the last message of each topic for who comes later.")
@click.option(
    "--max-bytes",
    metavar="BYTES",
    type=click.IntRange(min=1),
    default=2**28,
    show_default=True,
    help="Bytes that wait for subscribers, all together.",
)
@json_option
@security_option
@limit_option
def command(
    frontend: tuple[str, ...],
    backend: tuple[str, ...],
    connect_frontend: tuple[str, ...],
    connect_backend: tuple[str, ...],
    retain: bool,
    max_bytes: int,
    as_json: bool,
    security: npt.Curve | None,
    limit_bytes: int,
) -> int:
    """Stand between publishers and subscribers, until Ctrl-C or SIGTERM.

    Each subscriber goes at its own pace; what one cannot take is dropped for that one, and counted on both sides.

    \b
    nptransport proxy --frontend tcp://*:5555 --backend tcp://*:5556
    """
    for option, bind, connect in (
        ("frontend", frontend, connect_frontend),
        ("backend", backend, connect_backend),
    ):
        if not bind and not connect:
            raise click.UsageError(f"give --{option} ADDRESS", click.get_current_context())
        check_addresses(bind, connect)
    with (
        interruptible() as interruption,
        npt.Proxy(
            frontend=frontend,
            backend=backend,
            connect_frontend=connect_frontend,
            connect_backend=connect_backend,
            retain=int(retain),
            max_bytes=max_bytes,
            limits=as_limits(limit_bytes),
            security=security,
        ) as proxy,
    ):
        tell_if_open([*frontend, *backend], security)
        _say(as_json, "listening", frontend=proxy.frontend, backend=proxy.backend)
        with warnings_said():
            serve_until(interruption, proxy)
        statistics = asdict(proxy.statistics())
        statistics["subscribers"] = len(statistics["subscribers"])
        lost = proxy.close()
        _say(as_json, "summary", **statistics, exit=int(ExitCode.OK))
        if lost:
            raise Stop(ExitCode.FAILED, f"{lost} or more messages had not been read by subscribers when it ended")
    return ExitCode.OK


def _say(as_json: bool, event: str, **facts: object) -> None:
    if as_json:
        click.echo(json.dumps({"event": event, **facts}, default=dict))
    elif event == "listening":
        click.echo(f"publishers at {facts['frontend']}, subscribers at {facts['backend']}", err=True)
    else:
        refused = f", {facts['refused']} connections refused" if facts["refused"] else ""
        dropped = int(str(facts["dropped_for_messages"])) + int(str(facts["dropped_for_bytes"]))
        click.echo(f"{facts['messages']} messages, {facts['nbytes']} bytes, {dropped} dropped{refused}", err=True)
