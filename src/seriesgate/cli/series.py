"""`seriesgate series`: what the server knows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seriesgate.cli.options import ConfigFile, settings_or_exit
from seriesgate.cli.server_api import ServerApi, ServerUrl, Token, not_ours

app = typer.Typer(help="Series that are registered with the server.", no_args_is_help=True)

# Field, title, and the width in characters, or None for a share of what is left: all columns fit
# into any terminal.
_COLUMNS = (
    ("UpdatedAt", "updated", 14),
    ("PatientName", "patient", None),
    ("PatientID", "ID", None),
    ("Modality", "mod.", 4),
    ("SeriesDescription", "description", None),
    ("InstancesInSeries", "inst.", 5),
    ("Revision", "rev.", 4),
    ("SeriesInstanceUID", "series", None),
)


@app.command("list")
def list_series(
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many series.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the series that are registered, the latest first.

    Example: seriesgate series list --limit 10
    """
    settings = settings_or_exit(config, gateway__server_url=server_url).gateway
    rows = _fetch(ServerApi(settings, token), limit)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no series is registered yet")
        return
    table = Table(box=None, pad_edge=False, expand=True)
    for field, title, width in _COLUMNS:
        justify: Literal["left", "right"] = (
            "right" if field in {"InstancesInSeries", "Revision"} else "left"
        )
        table.add_column(
            title,
            width=width,
            ratio=None if width else 1,
            justify=justify,
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(_shown(row, field)) for field, _, _ in _COLUMNS))
    Console().print(table)


def _shown(row: dict[str, Any], field: str) -> str:
    value = row.get(field, "")
    if field == "UpdatedAt":
        return f"{datetime.fromisoformat(value).astimezone():%m-%d %H:%M:%S}"
    return str(value)


def _fetch(api: ServerApi, limit: int) -> list[dict[str, Any]]:
    answer = api.request("GET", "/series", params={"limit": limit})
    try:
        return list(answer["series"])
    except (KeyError, TypeError) as error:
        raise not_ours(f"the server at {api.url}") from error
