"""`seriesgate db`: care of the server's database."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import Annotated

import typer

from seriesgate.cli.options import ConfigFile, DatabaseUrl, fail, settings_or_exit
from seriesgate.startup import CannotStart

app = typer.Typer(help="Care of the server's database.", no_args_is_help=True)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="New file to write.")],
    config: ConfigFile = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Copy a SQLite database to a new file, also while the server runs.

    The copy is checked, and complete as of one moment. For PostgreSQL use pg_dump.

    Example: seriesgate db backup /backup/series_data-monday.db
    """
    from seriesgate.server.sql.backup import back_up  # noqa: PLC0415 - not for other commands

    settings = settings_or_exit(config, server__database_url=database_url).server
    try:
        back_up(settings.database_url, target)
    except CannotStart as error:
        raise fail(str(error)) from error
    typer.echo(f"the backup is {target}")


@app.command()
def upgrade(config: ConfigFile = None, database_url: DatabaseUrl = None) -> None:
    """Bring the database's tables to this version. The server does so itself with SQLite.

    Stop the servers that use the database first, and make a backup. Running it again changes
    nothing.

    Example: seriesgate db upgrade --database-url postgresql://user:password@host/database
    """
    from seriesgate.server.sql.opening import upgrade_database  # noqa: PLC0415 - not for other commands

    settings = settings_or_exit(config, server__database_url=database_url).server
    try:
        upgrade_database(settings.database_url)
    except CannotStart as error:
        raise fail(str(error)) from error
    typer.echo("the database is up to date")
