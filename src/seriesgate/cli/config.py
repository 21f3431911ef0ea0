"""`seriesgate config`: what is set, and whether it is right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from seriesgate.cli.options import ConfigFile, settings_or_exit

if TYPE_CHECKING:
    from seriesgate.settings.loading import Settings

app = typer.Typer(help="Show and check the settings.", no_args_is_help=True)


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check the settings; exit code 2 and a line per wrong key when something is not right.

    Example: seriesgate config check --config /etc/seriesgate.toml
    """
    settings_or_exit(config)
    typer.echo("the settings are right")


@app.command()
def show(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every setting with its value and what it means. Secrets are not shown.

    Example: seriesgate config show --json
    """
    settings = settings_or_exit(config)
    if as_json:
        typer.echo(json.dumps(settings.model_dump(mode="json"), indent=2))
        return
    table = Table("setting", "value", "meaning", box=None, pad_edge=False)
    for name, value, meaning in _rows(settings):
        table.add_row(name, value, meaning)
    Console().print(table)


def _rows(settings: Settings) -> list[tuple[str, str, str]]:
    values: dict[str, dict[str, Any]] = settings.model_dump(mode="json")
    return [
        (f"{section}.{key}", json.dumps(value), field.description or "")
        for section, model in (("gateway", settings.gateway), ("server", settings.server))
        for key, field in type(model).model_fields.items()
        for value in (values[section][key],)
    ]
