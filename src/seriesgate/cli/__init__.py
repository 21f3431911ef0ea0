"""The command line: one module per command or group of commands."""

from __future__ import annotations

import sys

import typer

from seriesgate import __version__
from seriesgate.cli import (
    aside,
    config,
    db,
    deletion,
    outbox,
    run,
    series,
    spool,
    token,
    webhooks,
)
from seriesgate.cli.doctor import doctor
from seriesgate.cli.echo import echo
from seriesgate.cli.send import send
from seriesgate.cli.status import status

app = typer.Typer(
    name="seriesgate",
    help="A DICOM series gateway: receives instances over C-STORE, knows when a series is "
    "complete, registers it with a server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.up)
app.command()(run.gateway)
app.command()(run.server)
app.command()(send)
app.command()(echo)
app.command()(status)
app.command()(doctor)
app.add_typer(outbox.app, name="outbox")
app.add_typer(aside.app, name="aside")
app.add_typer(spool.app, name="spool")
app.add_typer(series.app, name="series")
app.add_typer(deletion.patient_app, name="patient")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(token.app, name="token")
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seriesgate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app(prog_name="seriesgate" if sys.argv[0].endswith("__main__.py") else None)
