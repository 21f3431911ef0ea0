"""`seriesgate series`: what the server knows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seriesgate.cli.deletion import delete_series
from seriesgate.cli.options import EXIT_USAGE, ConfigFile, fail, settings_or_exit
from seriesgate.cli.server_api import ServerApi, ServerUrl, Token, not_ours
from seriesgate.series.uid import as_path_segment

app = typer.Typer(help="Series that are registered with the server.", no_args_is_help=True)
app.command("delete")(delete_series)


class _Column(NamedTuple):
    """A column of the table, at least so many characters wide."""

    field: str
    title: str
    least: int
    #: Whether it gets a share of what is left.
    grows: bool = False
    justify: Literal["left", "right"] = "left"


_COLUMNS = (
    _Column("UpdatedAt", "updated", 14),
    _Column("PatientName", "patient", 14, grows=True),
    _Column("PatientID", "ID", 10, grows=True),
    _Column("Modality", "mod.", 4),
    _Column("SeriesDescription", "description", 14, grows=True),
    _Column("InstancesInSeries", "inst.", 5, justify="right"),
    _Column("Revision", "rev.", 4, justify="right"),
    # In full or not at all: it is there to be copied.
    _Column("SeriesInstanceUID", "series", 0),
)
#: What a narrow terminal does without, this first.
_SPARED = ("SeriesInstanceUID", "Revision", "SeriesDescription", "Modality", "UpdatedAt")
_GAP = 2

_PAGE = 1000
_LONGEST_TIME = 64


@app.command("list")
def list_series(
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    patient_id: Annotated[str | None, typer.Option(help="Of this PatientID.")] = None,
    study: Annotated[str | None, typer.Option(help="Of this StudyInstanceUID.")] = None,
    accession_number: Annotated[str | None, typer.Option(help="Of this number.")] = None,
    modality: Annotated[str | None, typer.Option(help="Of this modality.")] = None,
    gateway: Annotated[str | None, typer.Option(help="From this gateway.")] = None,
    text: Annotated[
        str | None, typer.Option(help="With this text in a name, an ID or a description.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="That came at this time or later: 2026-01-01 or with T10:00:00Z."),
    ] = None,
    before: Annotated[str | None, typer.Option(help="That came before this time.")] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The other order.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many series.")] = 100,
    every: Annotated[bool, typer.Option("--all", help="All of them, whatever --limit is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the series that are registered, the latest first.

    A narrow terminal shows fewer columns; --json has all.

    Example: seriesgate series list --modality MR --since 2026-01-01 --limit 10
    """
    settings = settings_or_exit(config, gateway__server_url=server_url).gateway
    query = {
        "PatientID": patient_id,
        "StudyInstanceUID": study,
        "AccessionNumber": accession_number,
        "Modality": modality,
        "Gateway": gateway,
        "text": text,
        "received_from": _moment("--since", since),
        "received_before": _moment("--before", before),
        "sort": "ReceivedAt" if oldest_first else None,
    }
    given = {name: value for name, value in query.items() if value is not None}
    rows = _fetch(ServerApi(settings, token), given, None if every else limit)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no series match" if given else "no series is registered yet")
        return
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), expand=True)
    columns = _fitting(rows, console.width)
    for column in columns:
        table.add_column(
            column.title,
            width=None if column.grows else column.least,
            ratio=1 if column.grows else None,
            justify=column.justify,
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(_shown(row, column.field)) for column in columns))
    console.print(table)


@app.command()
def repair(
    series_instance_uid: Annotated[str, typer.Argument(help="SeriesInstanceUID of the series.")],
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    at_most: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Withdraw the reports of more instances than this; without it, those of as many "
            "as the series has now.",
        ),
    ] = None,
) -> None:
    """Withdraw reports that count too many instances. The series is what its other reports say.

    The token must allow `admin`.

    Example: seriesgate series repair 1.2.840.113619.2.1 --at-most 5000
    """
    settings = settings_or_exit(config, gateway__server_url=server_url).gateway
    path = f"/series/{as_path_segment(series_instance_uid)}/repair"
    query = {} if at_most is None else {"at_most": at_most}
    row = ServerApi(settings, token).request("POST", path, params=query)
    typer.echo(f"the series has {row.get('InstancesInSeries')} instances now")


def _fitting(rows: list[dict[str, Any]], width: int) -> list[_Column]:
    """Return the columns that a terminal of `width` has room for."""
    longest = max(len(row["SeriesInstanceUID"]) for row in rows)
    columns = [each if each.least else each._replace(least=longest) for each in _COLUMNS]
    for spared in _SPARED:
        if sum(each.least + _GAP for each in columns) <= width + _GAP:
            break
        columns = [each for each in columns if each.field != spared]
    return columns


def _shown(row: dict[str, Any], field: str) -> str:
    value = row.get(field, "")
    if field == "UpdatedAt":
        return f"{datetime.fromisoformat(value).astimezone():%m-%d %H:%M:%S}"
    return str(value)


def _moment(option: str, text: str | None) -> str | None:
    """Give a time as the server takes it; one without a time zone is local."""
    if text is None:
        return None
    try:
        return (
            datetime.fromisoformat(text if len(text) <= _LONGEST_TIME else "")
            .astimezone()
            .isoformat()
        )
    except (ValueError, OverflowError) as error:
        raise fail(
            f"{option} must be like 2026-01-01 or 2026-01-01T10:00:00Z", EXIT_USAGE
        ) from error


def _fetch(api: ServerApi, query: dict[str, str], limit: int | None) -> list[dict[str, Any]]:
    """Follow the pages until there are enough; None means all."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while limit is None or len(rows) < limit:
        most = _PAGE if limit is None else min(_PAGE, limit - len(rows))
        page = api.request("GET", "/series", params={**query, **cursor, "limit": most})
        try:
            rows += page["series"]
            following = page["next_cursor"]
        except (KeyError, TypeError) as error:
            raise not_ours(f"what answers at {api.url}") from error
        if following is None:
            break
        cursor = {"cursor": following}
    return rows
