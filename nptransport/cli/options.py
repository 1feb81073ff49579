"""Options that several commands have."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

import nptransport as npt

from .exits import ExitCode, Stop

__all__ = [
    "POSITIVE",
    "Number",
    "address_options",
    "as_limits",
    "check_addresses",
    "check_png",
    "grace_option",
    "interval_option",
    "json_option",
    "limit_option",
    "security_option",
    "tell_if_open",
    "timeout_option",
    "watch_options",
]

F = TypeVar("F", bound=Callable[..., Any])

_SMALLEST_LIMIT = 2**17
_OURS = re.compile(r"tcp://(127(\.\d{1,3}){3}|localhost|lo|\[::1\]):")


def address_options(function: F) -> F:
    """``--bind`` and ``--connect``, each as often as wanted."""
    what = "tcp://HOST:PORT, ipc://PATH or shm://NAME; may be repeated."
    for option in (
        click.option("--connect", metavar="ADDRESS", multiple=True, help=f"The other side's address: {what}"),
        click.option("--bind", metavar="ADDRESS", multiple=True, help=f"The address to wait at: {what}"),
    ):
        function = option(function)
    return function


def watch_options(function: F) -> F:
    """ADDRESS, as often as wanted, and the options of those who bind: for commands that look at what others send."""
    what = click.argument("addresses", metavar="[ADDRESS]...", nargs=-1)
    return what(address_options(function))


def check_addresses(bind: Sequence[str], connect: Sequence[str]) -> None:
    """UsageError for what the library cannot know to be wrong on a command line."""
    if not bind and not connect:
        raise click.UsageError("give --bind ADDRESS or --connect ADDRESS", click.get_current_context())
    for address in [*bind, *connect]:
        if address.startswith("inproc://"):
            raise npt.AddressError(f"{address}: reaches no other process; use ipc:// or tcp://", address=address)


def tell_if_open(bind: Sequence[str], security: npt.Curve | None) -> None:
    """A word where anybody may come in."""
    for address in bind:
        if security is None and address.startswith("tcp://") and not _OURS.match(address):
            said = f"{address}: whoever can reach this port can take part; --security FILE keeps others out"
            click.echo(said, err=True)


def security_option(function: F) -> F:
    """``--security``: a :class:`nptransport.Curve`, or None."""

    def load(ctx: click.Context, param: click.Parameter, path: str | None) -> npt.Curve | None:
        try:
            return None if path is None else npt.Curve.load(path)
        except npt.AuthenticationError as error:
            raise Stop(ExitCode.USAGE, str(error)) from None

    return click.option(
        "--security",
        metavar="FILE",
        callback=load,
        help="Who may take part: a file with a section [server] or [client], see `nptransport keygen --help`.",
    )(function)


def limit_option(function: F) -> F:
    """``--limit-bytes``, to be given to :func:`as_limits`."""
    return click.option(
        "--limit-bytes",
        metavar="BYTES",
        type=click.IntRange(min=_SMALLEST_LIMIT),
        default=npt.Limits().max_total_bytes,
        show_default=True,
        help="The largest message that is accepted; a larger one needs it on both sides.",
    )(function)


def as_limits(limit_bytes: int) -> npt.Limits:
    return npt.Limits(max_total_bytes=limit_bytes)


class Number(click.FloatRange):
    """A number that is one: a comparison with NaN is never true, so that nothing would ever be due."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number.", param, ctx)
        return number


POSITIVE = Number(min=0, min_open=True)


def timeout_option(help_text: str) -> Callable[[F], F]:
    """``--timeout`` in seconds; None without it."""
    return click.option("--timeout", metavar="SECONDS", type=POSITIVE, help=help_text)


def json_option(function: F) -> F:
    """``--json``."""
    return click.option("as_json", "--json", is_flag=True, help="One JSON object a line on stdout.")(function)


def interval_option(function: F) -> F:
    """``--interval``, of those between whom signs of life go."""
    return click.option(
        "--interval", type=POSITIVE, default=1.0, show_default=True, help="Seconds between signs of life."
    )(function)


def grace_option(function: F) -> F:
    """``--grace``, of those who have tasks."""
    return click.option(
        "--grace", type=POSITIVE, default=10.0, show_default=True, help="Seconds to finish tasks when it is to end."
    )(function)


def check_png(option: str, path: str) -> None:
    """Stop, before time is spent, if no PNG can be written to ``path``."""
    if not path.lower().endswith(".png"):
        raise Stop(ExitCode.USAGE, f"{option} {path}: writes PNG, give it a name that ends in .png")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise Stop(ExitCode.USAGE, f"{option} {path}: no such folder")
