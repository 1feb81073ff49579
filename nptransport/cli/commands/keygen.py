"""``nptransport keygen``: a pair of keys for ``--security``."""

from __future__ import annotations

import json

import click

import nptransport as npt

from ..exits import ExitCode, Stop
from ..options import json_option

__all__ = ["command"]


@click.command("keygen", short_help="Make a pair of keys, for --security.")
@click.argument("name", metavar="NAME")
@json_option
def command(name: str, as_json: bool) -> int:
    """Write NAME.secret, which only you can read and which stays on this machine, and NAME.public, to be given away.

    \b
    On the side that many connect to, as a rule the one that binds, --security names a file such as
        [server]
        secret = camera.secret
        allowed = viewers/              a folder or file of public keys, one a line
    and on the other side
        [client]
        secret = viewer.secret
        server = camera.public
    What stands in `allowed` counts from the moment that it is written; nothing has to be started anew.

    \b
    nptransport keygen camera
    """
    try:
        public, secret = npt.Curve.generate(name)
        key = npt.Curve.client(server=public, secret=secret).public
    except npt.AuthenticationError as error:
        raise Stop(ExitCode.USAGE, str(error)) from None
    if as_json:
        click.echo(json.dumps({"event": "keys", "public": public, "secret": secret, "key": key}))
    else:
        click.echo(f"{public}  {key}")
        click.echo(f"{secret} stays here: whoever has it is {name}", err=True)
    return ExitCode.OK
