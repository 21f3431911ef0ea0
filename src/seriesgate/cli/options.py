"""Options that several commands share, and how a command gets its settings."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from seriesgate.settings.loading import Settings, SettingsError, load_settings

#: Exit code for a wrong command line or a wrong setting, as is usual.
EXIT_USAGE = 2

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file; without it, seriesgate.toml in this folder if there is one.",
    ),
]

StateDir = Annotated[Path | None, typer.Option(help="Folder of the gateway's state.")]

AdminPort = Annotated[int | None, typer.Option(help="Port of the gateway's administration.")]

DatabaseUrl = Annotated[str | None, typer.Option(help="Database of the server.")]


def fail(message: str, exit_code: int = 1) -> typer.Exit:
    """Print an error for a person and return the exit to raise."""
    for line in message.splitlines():
        typer.secho(f"seriesgate: {line}", err=True, fg=typer.colors.RED)
    return typer.Exit(exit_code)


def settings_or_exit(config_file: Path | None, **flags: Any) -> Settings:
    """Load the settings; each of `flags` is named `section__key`, and None means not given."""
    sections: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in flags.items():
        if value is not None:
            section, _, key = name.partition("__")
            sections[section][key] = value
    try:
        return load_settings(config_file, sections)
    except SettingsError as error:
        raise fail(str(error), EXIT_USAGE) from error
