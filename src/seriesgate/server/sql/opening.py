"""From the database URL of the settings to a store that is ready for use."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.registry.store import DatabaseUnusable
from seriesgate.server.sql.database import SqlDatabase, first_line
from seriesgate.server.sql.postgresql import postgresql_engine
from seriesgate.server.sql.register import register_group
from seriesgate.server.sql.schema import require_current, upgrade
from seriesgate.server.sql.series_store import SqlSeriesStore
from seriesgate.server.sql.sqlite import sqlite_engine
from seriesgate.server.sql.sqlite_upkeep import SqliteUpkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

DEFAULT_CONNECTIONS = 5
_SQLITE_EXAMPLE = "sqlite:///series_data.db"
_EXAMPLES = f"{_SQLITE_EXAMPLE} or postgresql://user:password@host/database"


def utc_now() -> datetime:
    """Give the time of this machine, aware."""
    return datetime.now(UTC)


def open_store(
    database_url: str,
    *,
    clock: Callable[[], datetime] = utc_now,
    connections: int = DEFAULT_CONNECTIONS,
    bulkheads: Bulkheads | None = None,
    observe: Callable[[str, float], None] = lambda _kind, _seconds: None,
) -> SqlSeriesStore:
    """Open the database.

    `database_url` is in SQLAlchemy's form. `sqlite:///series_data.db` is a file in the working
    folder, `sqlite:////var/lib/seriesgate/series_data.db` an absolute path; the file is made if it
    is absent and its schema brought up to date. `postgresql://user:password@host/database` must
    have been brought up to date (`upgrade_database`): its other servers may not be ready for it.

    `clock` gives aware times. `connections`, at least 2, is how many PostgreSQL gets; SQLite has
    one. `bulkheads` and `observe` are as for SqlDatabase. Raises DatabaseUnusable, whose text is
    one line for the user.
    """
    with _opened(database_url, connections) as engine:
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            upgrade(engine, clock())
        else:
            require_current(engine)
        readers = 0 if is_sqlite else connections - 1
        bulkheads = bulkheads or Bulkheads()
        tidy = SqliteUpkeep(engine, bulkheads).step if is_sqlite else _nothing_to_tidy
        database = SqlDatabase(
            engine,
            register_group,
            readers=readers,
            tidy=tidy,
            bulkheads=bulkheads,
            observe=observe,
        )
        return SqlSeriesStore(database, clock)


def _nothing_to_tidy() -> bool:
    """PostgreSQL has processes of its own for that."""
    return False


def upgrade_database(database_url: str) -> None:
    """Bring the schema of a database up to date. Raises DatabaseUnusable."""
    with _opened(database_url, connections=1) as engine:
        upgrade(engine, utc_now())
        engine.dispose()


@contextmanager
def _opened(database_url: str, connections: int) -> Iterator[Engine]:
    """Give the engine, which is disposed of if the block fails; the failure is one line then."""
    url = _parsed(database_url)
    # Never the whole URL: that of a database server has a password in it.
    name = url.database if url.drivername == "sqlite" else _without_secrets(url)
    try:
        if url.drivername == "sqlite":
            engine = sqlite_engine(_sqlite_path(url))
        else:
            engine = postgresql_engine(url, connections=connections)
        try:
            yield engine
        except BaseException:
            engine.dispose()
            raise
    except OSError as error:
        raise DatabaseUnusable(f"database {name}: {error.strerror}") from error
    except DBAPIError as error:
        raise DatabaseUnusable(f"database {name}: {first_line(error.orig)}") from error
    except DatabaseUnusable as error:
        raise type(error)(f"database {name}: {error}") from error


def _parsed(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusable(f"the database URL can't be read; write {_EXAMPLES}") from None
    if url.drivername not in {"sqlite", "postgresql", "postgresql+psycopg"}:
        raise DatabaseUnusable(f"no database of kind {url.drivername!r} is known; use {_EXAMPLES}")
    return url


def _sqlite_path(url: URL) -> Path:
    if url.query or not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseUnusable(f"the database URL must name a file, as {_SQLITE_EXAMPLE} does")
    return Path(url.database)


def _without_secrets(url: URL) -> str:
    # A password may be among the parameters as well.
    address = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
    return address.render_as_string()
