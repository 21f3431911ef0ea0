"""Brings a database to the schema of this program, whatever older one it has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from seriesgate.server.registry.store import DatabaseUnusable

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


# Any number will do that no other program uses on the same database ("seriesga" in ASCII).
_UPGRADE_LOCK = 0x7365726965736761


def upgrade(engine: Engine, now: datetime) -> None:
    """Apply the migrations that the database lacks, all in one transaction or none.

    A table `series_data` of the original plan is taken over with its rows; their time of arrival
    is unknown, so they get `now` (aware). Raises DatabaseUnusable for a schema that is newer than
    this program.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # SQLite's transaction is a lock already
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))
            # An index of many million rows takes longer than any query may.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        config = _config()
        config.attributes.update(connection=connection, now=now)
        current = _known_revision(connection)
        if current is None:
            _adopt(connection, config)
        if current != _head():
            command.upgrade(config, "head")


def require_current(engine: Engine) -> None:
    """Raise DatabaseUnusable unless the database has the schema of this program."""
    with engine.begin() as connection:
        if _known_revision(connection) != _head():
            raise DatabaseUnusable(
                "its tables are those of an older version, or it has none yet; "
                "run `seriesgate db upgrade` first"
            )


def is_current(connection: Connection) -> bool:
    """Return whether the database has the schema of this program."""
    return _revision(connection) == _head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known_revision(connection: Connection) -> str | None:
    current = _revision(connection)
    if current is not None and current not in _revisions():
        raise DatabaseUnusable(
            "the database was written by a newer version of this program; install that one"
        )
    return current


@cache
def _revisions() -> tuple[str, ...]:
    """Give the names of all schemas that this program knows, the latest first."""
    scripts = ScriptDirectory.from_config(_config())
    return tuple(script.revision for script in scripts.walk_revisions())


def _head() -> str:
    return _revisions()[0]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "seriesgate.server.sql:migrations")
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
