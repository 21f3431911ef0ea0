"""`seriesgate spool`: the files that the gateway keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal

from seriesgate.cli.options import ConfigFile, StateDir, fail, settings_or_exit
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from pathlib import Path

    from seriesgate.wiring.spool_verification import SpoolReport

#: Exit code of `spool verify` when it has found something wrong.
EXIT_NOT_SOUND = 3

app = typer.Typer(help="The files that the gateway keeps.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def verify(
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every file of the spool: its size, its checksum, and whether its name is right.

    Nothing is changed, and a gateway may run meanwhile; where none does, what its journal owes to
    the server is looked for too. Exit codes: 0 all is well; 1 it can't be read; 3 something is
    damaged, missing, or in the quarantine.

    Example: seriesgate spool verify --state-dir /var/lib/seriesgate
    """
    settings = settings_or_exit(config, gateway__state_dir=state_dir).gateway
    report = _verified(settings.state_dir)
    if as_json:
        typer.echo(json.dumps(_json(report), indent=2))
    else:
        for line in _lines(report):
            typer.echo(line)
    if not report.is_sound:
        raise typer.Exit(EXIT_NOT_SOUND)


def _verified(state_dir: Path) -> SpoolReport:
    from seriesgate.wiring.spool_verification import (  # noqa: PLC0415 - not for other commands
        verify_state_folder,
    )

    try:
        with Console(stderr=True).status("reading the spool") as status:
            return verify_state_folder(
                state_dir, lambda count: status.update(f"reading the spool: {count} files")
            )
    except CannotStart as error:
        raise fail(str(error)) from error


def _json(report: SpoolReport) -> dict[str, Any]:
    return {
        "sound": report.is_sound,
        "files": report.files,
        "bytes": report.bytes,
        "problems": [{"file": each.name, "problem": each.problem} for each in report.problems],
        "missing": [
            {"series_instance_uid": series, "sop_instance_uid": copy.sop_instance_uid}
            for series, copy in report.missing
        ],
        "quarantined": report.quarantined,
        "journal": report.journal or "compared",
    }


def _lines(report: SpoolReport) -> list[str]:
    return [
        *(f"spool/{each.name}: {each.problem}" for each in report.problems),
        *(
            f"missing: instance {copy.sop_instance_uid} of series {series}, which the server does "
            "not have yet"
            for series, copy in report.missing
        ),
        (
            f"{report.files} files, {decimal(report.bytes)}: {len(report.problems)} damaged, "
            f"{len(report.missing)} missing, {report.quarantined} in the quarantine"
        ),
        *([report.journal] if report.journal else []),
    ]
