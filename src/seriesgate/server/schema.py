"""Brings a database to the schema of this program, whatever older one it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from seriesgate.server.store import DatabaseUnusable

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

# The schema of the original plan: a database that has its table, and was never migrated.
_ORIGINAL_PLAN = "0001"
_ORIGINAL_PLAN_COLUMNS = {
    "SeriesInstanceUID",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "InstancesInSeries",
}


def upgrade(engine: Engine, now: datetime) -> None:
    """Apply the migrations that the database lacks, all in one transaction or none.

    A table `series_data` of the original plan is taken over with its rows; their time of arrival
    is unknown, so they get `now` (aware). Raises DatabaseUnusable for a schema that is newer than
    this program.
    """
    with engine.begin() as connection:
        config = _config(connection, now)
        scripts = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        if current is None:
            _adopt(connection, config)
        elif current not in {script.revision for script in scripts.walk_revisions()}:
            raise DatabaseUnusable(
                "the database was written by a newer version of this program; install that one"
            )
        if current != scripts.get_current_head():
            command.upgrade(config, "head")


def _config(connection: Connection, now: datetime) -> Config:
    config = Config()
    config.set_main_option("script_location", "seriesgate.server:migrations")
    config.attributes.update(connection=connection, now=now)
    return config


def _adopt(connection: Connection, config: Config) -> None:
    """Mark a database of the original plan as what it is: the first schema."""
    inspector = inspect(connection)
    if not inspector.has_table("series_data"):
        return
    # SQLite takes the quoted name of a column that does not exist for a string: look before.
    columns = {column["name"] for column in inspector.get_columns("series_data")}
    if columns != _ORIGINAL_PLAN_COLUMNS:
        raise DatabaseUnusable(
            "the database has a table series_data of some other program; name another database"
        )
    command.stamp(config, _ORIGINAL_PLAN)
