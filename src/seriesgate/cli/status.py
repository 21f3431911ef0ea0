"""`seriesgate status`: what the gateway is doing."""

from __future__ import annotations

import json
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from seriesgate.cli.gateway_api import GatewayApi, GatewayNotRunning
from seriesgate.cli.options import AdminPort, ConfigFile, fail, settings_or_exit
from seriesgate.cli.status_view import status_view

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Exit code of `status` when the gateway runs and can't do its work.
EXIT_NOT_READY = 3
_INTERVAL = 1.0


def status(
    config: ConfigFile = None,
    admin_port: AdminPort = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; with --watch, a line each second.")
    ] = False,
) -> None:
    """Show what the gateway is doing: open series, deliveries, dead letters, who was refused.

    Exit codes: 0 the gateway works; 1 none runs, or it can't be asked; 3 it runs, and can't do its
    work now.

    Example: seriesgate status --watch
    """
    settings = settings_or_exit(config, gateway__admin_port=admin_port).gateway
    api = GatewayApi(settings)
    try:
        if watch:
            _watch(api, as_json=as_json)
            return
        answer = api.request("GET", "/status")
    except GatewayNotRunning as error:
        raise fail(str(error)) from error
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        Console().print(status_view(answer))
    if not answer["ready"]:
        raise typer.Exit(EXIT_NOT_READY)


def _watch(api: GatewayApi, *, as_json: bool) -> None:
    console = Console()
    try:
        if console.is_terminal and not as_json:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                for answer in _answers(api):
                    live.update(status_view(answer), refresh=True)
        for answer in _answers(api):
            if as_json:
                typer.echo(json.dumps(answer))
            else:
                console.print(status_view(answer))
    except KeyboardInterrupt:
        return


def _answers(api: GatewayApi) -> Iterator[dict[str, Any]]:
    while True:
        yield api.request("GET", "/status")
        sleep(_INTERVAL)
