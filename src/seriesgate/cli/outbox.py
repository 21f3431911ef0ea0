"""`seriesgate outbox`: what the server does not have yet, and what becomes of dead letters."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
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
    help="Deliveries that the server does not have yet. These commands ask the running gateway; "
    "where none runs, they open its journal.",
    no_args_is_help=True,
)

_MAX_LISTED = 1000

DeliveryId = Annotated[
    str | None,
    typer.Argument(help="Its id as `outbox list` or the log shows it, or the beginning of it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_outbox(
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    state_dir: StateDir = None,
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters only.")] = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters and what is pending, the oldest first, with the reasons.

    Example: seriesgate outbox list --dead
    """
    outbox = _Outbox(config, admin_port, state_dir).listing()
    if dead:
        outbox["deliveries"] = [each for each in outbox["deliveries"] if each["state"] == "dead"]
    if as_json:
        typer.echo(json.dumps(outbox, indent=2))
        return
    typer.echo(f"{outbox['dead']} dead letters, {outbox['pending']} pending")
    if outbox["deliveries"]:
        Console().print(_table(outbox["deliveries"]))


@app.command()
def retry(
    delivery_id: DeliveryId = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Have a dead letter delivered again: at once, or by the next gateway where none runs.

    Example: seriesgate outbox retry 3f9a1c02
    """
    _check_choice(delivery_id, every=every)
    count = _Outbox(config, admin_port, state_dir).act("retry", delivery_id)
    _say_count(count, "retried", "{} will be delivered again", as_json=as_json)


@app.command()
def discard(
    delivery_id: DeliveryId = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a dead letter up for good: the server will never be told, and its files are removed.

    Example: seriesgate outbox discard 3f9a1c02 --yes
    """
    _check_choice(delivery_id, every=every)
    which = "every dead letter" if delivery_id is None else f"dead letter {delivery_id}"
    if not yes and not typer.confirm(f"Give {which} up for good, with its files?", err=True):
        raise fail("nothing is discarded")
    count = _Outbox(config, admin_port, state_dir).act("discard", delivery_id)
    _say_count(count, "discarded", "{} discarded", as_json=as_json)


def _check_choice(delivery_id: str | None, *, every: bool) -> None:
    if (delivery_id is None) is not every:
        raise fail("name one dead letter, or say --all", EXIT_USAGE)


def _say_count(count: int, key: str, sentence: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({key: count}))
        return
    typer.echo(sentence.format("1 dead letter" if count == 1 else f"{count} dead letters"))


class _Outbox:
    """The outbox of the running gateway, or of the state folder that one has left."""

    def __init__(self, config: Path | None, admin_port: int | None, state_dir: Path | None) -> None:
        self._settings = settings_or_exit(
            config, gateway__admin_port=admin_port, gateway__state_dir=state_dir
        ).gateway
        self._api = GatewayApi(self._settings)

    def listing(self) -> dict[str, Any]:
        """Return the answer of /outbox."""
        try:
            return self._api.request("GET", "/outbox")
        except GatewayNotRunning:
            from seriesgate.wiring import local_outbox  # noqa: PLC0415 - rarely needed

            try:
                return local_outbox.list_locally(self._settings.state_dir, _MAX_LISTED)
            except local_outbox.LocalOutboxError as error:
                raise fail(str(error)) from error

    def act(self, action: Literal["retry", "discard"], delivery_id: str | None) -> int:
        """Do it with a dead letter, or with all; return with how many."""
        path = "/outbox/" if delivery_id is None else f"/outbox/{quote(delivery_id, safe='')}/"
        try:
            answer = self._api.request("POST", path + action)
        except GatewayNotRunning:
            from seriesgate.wiring import local_outbox  # noqa: PLC0415 - rarely needed

            retries = action == "retry"
            act = local_outbox.retry_locally if retries else local_outbox.discard_locally
            try:
                return act(self._settings.state_dir, delivery_id)
            except local_outbox.LocalOutboxError as error:
                raise fail(str(error)) from error
        return int(answer["count"])


def _table(deliveries: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("id", width=8, no_wrap=True)
    table.add_column("state", width=9, no_wrap=True)
    table.add_column("series", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("rev.", width=4, justify="right", no_wrap=True)
    table.add_column("inst.", width=5, justify="right", no_wrap=True)
    table.add_column("tries", width=5, justify="right", no_wrap=True)
    table.add_column("next", width=8, no_wrap=True)
    table.add_column("reason", ratio=3, overflow="fold")
    for each in deliveries:
        following = each["next_attempt_at"]
        table.add_row(
            each["delivery_id"][:8],
            each["state"].replace("_", " "),
            Text(each["series_instance_uid"]),
            str(each["revision"]),
            str(each["instances"]),
            str(each["attempts"]),
            f"{datetime.fromisoformat(following).astimezone():%H:%M:%S}" if following else "",
            Text(each["reason"]),
        )
    return table
