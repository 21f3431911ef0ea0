"""From the database URL of the settings to a store that is ready for use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from seriesgate.server.schema import upgrade
from seriesgate.server.sql_store import SqlSeriesStore
from seriesgate.server.sqlite import sqlite_engine
from seriesgate.server.store import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

_EXAMPLE = "sqlite:///series_data.db"


def utc_now() -> datetime:
    """Give the time of this machine, aware."""
    return datetime.now(UTC)


def open_store(database_url: str, *, clock: Callable[[], datetime] = utc_now) -> SqlSeriesStore:
    """Open the database, make it if it is absent, bring its schema up to date.

    `database_url` is in SQLAlchemy's form, such as `sqlite:///series_data.db` (a relative path) or
    `sqlite:////var/lib/seriesgate/series_data.db`. `clock` gives aware times. Raises
    DatabaseUnusable, whose text is one line for the user.
    """
    engine, name = _engine(database_url)
    try:
        upgrade(engine, clock())
    except DatabaseUnusable as error:
        engine.dispose()
        raise DatabaseUnusable(f"{name}: {error}") from None
    except DBAPIError as error:
        engine.dispose()
        raise DatabaseUnusable(f"{name}: {error.orig}") from error
    return SqlSeriesStore(engine, clock)


def _engine(database_url: str) -> tuple[Engine, str]:
    """Give the engine, and the database's name for messages: a URL may hold a password."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusable(
            f"the database URL can't be read; it looks like {_EXAMPLE}"
        ) from None
    if url.drivername != "sqlite":
        raise DatabaseUnusable(
            f"no database of the kind {url.drivername!r} is known; use {_EXAMPLE}"
        )
    if url.query or not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseUnusable(f"the database URL must name a file, as {_EXAMPLE} does")
    path = Path(url.database)
    try:
        return sqlite_engine(path), str(path)
    except OSError as error:
        raise DatabaseUnusable(f"{path}: {error.strerror}") from error
