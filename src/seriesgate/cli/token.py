"""`seriesgate token`: who may use the server."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from seriesgate.cli.json_answer import json_object
from seriesgate.cli.options import ConfigFile, DatabaseUrl, fail, settings_or_exit
from seriesgate.cli.server_api import ServerApi, ServerUrl, Token, success_or_exit
from seriesgate.server.access.tokens import Scope  # noqa: TC001 - Typer reads the annotation
from seriesgate.startup import CannotStart

app = typer.Typer(
    help="Tokens for the server. They are in its database; where a running server has a SQLite "
    "file to itself, these commands ask that server.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    scope: Annotated[
        list[Scope],
        typer.Option(help="What it allows; repeat it for several. `admin` allows all."),
    ],
    config: ConfigFile = None,
    database_url: DatabaseUrl = None,
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """Make a token and print it, this once. From the first one on, every request needs one.

    Example: seriesgate token create ward-3 --scope register
    """
    wanted = {"name": name, "scopes": scope}
    made = _request((config, database_url, server_url, token), "POST", "/tokens", json=wanted)
    typer.echo(made["token"])
    typer.echo("Keep it: it is not shown again.", err=True)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The token's name.")],
    config: ConfigFile = None,
    database_url: DatabaseUrl = None,
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """Revoke a token for good. Other servers on the database notice within five seconds.

    Example: seriesgate token revoke ward-3
    """
    path = f"/tokens/{quote(name, safe='')}"
    _request((config, database_url, server_url, token), "DELETE", path)
    typer.echo(f"{name} is revoked")


@app.command()
def allow(
    name: Annotated[str, typer.Argument(help="The token's name.")],
    gateway: Annotated[str, typer.Argument(help="The gateway's name.")],
    config: ConfigFile = None,
    database_url: DatabaseUrl = None,
    server_url: ServerUrl = None,
    token: Token = None,
) -> None:
    """Let a gateway come with this token. The server refuses its name with any but its first one.

    Example: seriesgate token allow ward-4 north-clinic
    """
    path = f"/gateways/{quote(gateway, safe='')}/token"
    _request((config, database_url, server_url, token), "PUT", path, json={"token": name})
    typer.echo(f"{gateway} comes with the token {name}")


@app.command("list")
def list_tokens(
    config: ConfigFile = None,
    database_url: DatabaseUrl = None,
    server_url: ServerUrl = None,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List all tokens that there are and were. The tokens themselves are not known.

    Example: seriesgate token list
    """
    answer = _request((config, database_url, server_url, token), "GET", "/tokens")
    tokens = answer["tokens"]
    if as_json:
        typer.echo(json.dumps(tokens, indent=2))
        return
    table = Table("name", "scopes", "made", "revoked", box=None, pad_edge=False)
    for each in tokens:
        times = (_shown(each["created_at"]), _shown(each["revoked_at"]))
        table.add_row(each["name"], ", ".join(each["scopes"]), *times)
    Console().print(table if tokens else "there is no token yet")


_Where: TypeAlias = tuple[Path | None, str | None, str | None, str | None]


def _request(where: _Where, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Ask the database, or the server that has it to itself."""
    from seriesgate.server.registry.store import DatabaseInUse  # noqa: PLC0415 - not for other commands
    from seriesgate.wiring.local_request import request_locally  # noqa: PLC0415 - as above

    config, database_url, server_url, token = where
    settings = settings_or_exit(
        config, server__database_url=database_url, gateway__server_url=server_url
    )
    try:
        response = request_locally(settings.server, method, path, **options)
    except DatabaseInUse:
        return ServerApi(settings.gateway, token).request(method, path, **options)
    except CannotStart as error:
        raise fail(str(error)) from error
    return success_or_exit(response, json_object(response.content), "the database")


def _shown(time: str | None) -> str:
    return "" if time is None else f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"
