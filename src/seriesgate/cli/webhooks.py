"""`seriesgate webhooks`: how the webhooks of the server stand."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seriesgate.cli.options import ConfigFile, fail, settings_or_exit
from seriesgate.cli.server_api import ServerApi, ServerUrl, Token

app = typer.Typer(
    help="Webhooks of the server: `server.webhooks` in its settings names them. These commands ask "
    "the running server, with a token for `admin`.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The webhook's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_webhooks(
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the webhooks, and what is owed to each. Secrets are not shown.

    Example: seriesgate webhooks list
    """
    api = ServerApi(settings_or_exit(config, gateway__server_url=server_url).gateway, token)
    webhooks: list[dict[str, Any]] = api.request("GET", "/webhooks")["webhooks"]
    if as_json:
        typer.echo(json.dumps(webhooks, indent=2))
        return
    if not webhooks:
        typer.echo("there is no webhook: server.webhooks in the settings names them")
        return
    table = Table("name", "receiver", "pending", "dead", "latest failure", box=None, pad_edge=False)
    for each in webhooks:
        row = (each[key] for key in ("name", "receiver", "pending", "dead", "latest_failure"))
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    Console().print(table)


@app.command("dead")
def list_dead_letters(
    name: Name,
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the changes that a webhook's receiver has refused, the oldest first.

    Example: seriesgate webhooks dead ris
    """
    api = ServerApi(settings_or_exit(config, gateway__server_url=server_url).gateway, token)
    letters: list[dict[str, Any]] = api.request("GET", _path(name, "dead-letters"))["dead_letters"]
    if as_json:
        typer.echo(json.dumps(letters, indent=2))
        return
    table = Table("change", "series", "attempts", "reason", box=None, pad_edge=False)
    for each in letters:
        row = (each[key] for key in ("sequence", "SeriesInstanceUID", "attempts", "reason"))
        table.add_row(*(Text(str(value)) for value in row))
    Console().print(table)


@app.command("test")
def send_test(
    name: Name, config: ConfigFile = None, server_url: ServerUrl = None, token: Token = None
) -> None:
    """Let the server send a signed message of type `test`; exit code 1 if it does not arrive.

    Example: seriesgate webhooks test ris
    """
    api = ServerApi(settings_or_exit(config, gateway__server_url=server_url).gateway, token)
    answer = api.request("POST", _path(name, "test"), timeout=30)
    if not answer["delivered"]:
        raise fail(f"{name} did not get the test: {answer['reason']}")
    typer.echo(f"{name} got the test")


@app.command()
def retry(
    name: Name, config: ConfigFile = None, server_url: ServerUrl = None, token: Token = None
) -> None:
    """Deliver every dead letter of a webhook again, and what waits for its next attempt, now.

    Example: seriesgate webhooks retry ris
    """
    api = ServerApi(settings_or_exit(config, gateway__server_url=server_url).gateway, token)
    typer.echo(f"{api.request('POST', _path(name, 'retry'))['retried']} changes are due again")


def _path(name: str, action: str) -> str:
    return f"/webhooks/{quote(name, safe='')}/{action}"
