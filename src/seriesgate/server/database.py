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

_EXAMPLE = "sqlite:///series_data.db"


def utc_now() -> datetime:
    """Give the time of this machine, aware."""
    return datetime.now(UTC)


def open_store(database_url: str, *, clock: Callable[[], datetime] = utc_now) -> SqlSeriesStore:
    """Open the database, make it if it is absent, bring its schema up to date.

    `database_url` is in SQLAlchemy's form: `sqlite:///series_data.db` is a file in the working
    folder, `sqlite:////var/lib/seriesgate/series_data.db` an absolute path. `clock` gives aware
    times. Raises DatabaseUnusable, whose text is one line for the user.
    """
    path = _sqlite_path(database_url)
    try:
        engine = sqlite_engine(path)
        try:
            upgrade(engine, clock())
        except BaseException:
            engine.dispose()
            raise
    except OSError as error:
        raise DatabaseUnusable(f"database {path}: {error.strerror}") from error
    except DBAPIError as error:
        raise DatabaseUnusable(f"database {path}: {error.orig}") from error
    except DatabaseUnusable as error:
        raise DatabaseUnusable(f"database {path}: {error}") from error
    return SqlSeriesStore(engine, clock)


def _sqlite_path(database_url: str) -> Path:
    # The URL is never repeated in a message: that of a database server has a password in it.
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusable(f"the database URL can't be read; write {_EXAMPLE}") from None
    if url.drivername != "sqlite":
        raise DatabaseUnusable(f"no database of kind {url.drivername!r} is known; use {_EXAMPLE}")
    if url.query or not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseUnusable(f"the database URL must name a file, as {_EXAMPLE} does")
    return Path(url.database)
