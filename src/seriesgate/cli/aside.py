"""`seriesgate aside`: units of the gateway's work that failed unexpectedly, and are kept."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seriesgate.cli.gateway_api import GatewayApi, GatewayNotRunning
from seriesgate.cli.options import (
    EXIT_USAGE,
    AdminPort,
    ConfigFile,
    StateDir,
    fail,
    settings_or_exit,
)

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(
    help="What the gateway has put aside: a series, a delivery or a picture in which something "
    "unexpected went wrong. It is kept, and the others go on. A gateway that starts tries all of "
    "it again, but what earlier runs have died of.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_aside(
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """List what is put aside, with the reasons.

    Example: seriesgate aside list
    """
    units = _Aside(config, admin_port, state_dir).listing()
    if as_json:
        typer.echo(json.dumps({"units": units}, indent=2))
        return
    typer.echo(f"{len(units)} put aside")
    if units:
        Console().print(_table(units))


@app.command()
def retry(
    unit_id: Annotated[
        str | None,
        typer.Argument(help="Its id as `aside list` or the log shows it, or the beginning of it."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is put aside.")] = False,
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Have it tried again: at once, or by the next gateway where none runs.

    Example: seriesgate aside retry 3f9a1c02
    """
    if (unit_id is None) is not every:
        raise fail("name one unit, or say --all", EXIT_USAGE)
    count = _Aside(config, admin_port, state_dir).retry(unit_id)
    if as_json:
        typer.echo(json.dumps({"retried": count}))
        return
    typer.echo(f"{count} will be tried again")


class _Aside:
    """What the running gateway has put aside, or what a journal says of earlier runs."""

    def __init__(self, config: Path | None, admin_port: int | None, state_dir: Path | None) -> None:
        self._settings = settings_or_exit(
            config, gateway__admin_port=admin_port, gateway__state_dir=state_dir
        ).gateway
        self._api = GatewayApi(self._settings)

    def listing(self) -> list[dict[str, Any]]:
        """Return the units of the answer of /aside."""
        try:
            return list(self._api.request("GET", "/aside")["units"])
        except GatewayNotRunning:
            from seriesgate.wiring import local_outbox  # noqa: PLC0415 - rarely needed

            try:
                return local_outbox.list_deaths(self._settings.state_dir)
            except local_outbox.LocalOutboxError as error:
                raise fail(str(error)) from error

    def retry(self, unit_id: str | None) -> int:
        """Have one, or all, tried again; return how many."""
        path = "/aside/retry" if unit_id is None else f"/aside/{quote(unit_id, safe='')}/retry"
        try:
            return int(self._api.request("POST", path)["count"])
        except GatewayNotRunning:
            from seriesgate.wiring import local_outbox  # noqa: PLC0415 - rarely needed

            try:
                return local_outbox.forget_deaths(self._settings.state_dir, unit_id)
            except local_outbox.LocalOutboxError as error:
                raise fail(str(error)) from error


def _table(units: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("id", width=8, no_wrap=True)
    table.add_column("what", ratio=2, overflow="fold")
    table.add_column("times", width=5, justify="right", no_wrap=True)
    table.add_column("since", width=14, no_wrap=True)
    table.add_column("reason", ratio=3, overflow="fold")
    for each in units:
        since = each["since"]
        table.add_row(
            each["unit_id"][:8],
            Text(each["task"]),
            str(each["times"]),
            f"{datetime.fromisoformat(since).astimezone():%m-%d %H:%M:%S}" if since else "",
            Text(each["reason"]),
        )
    return table
