"""How a PostgreSQL database is used, so that a commit survives power loss and no wait is endless.

PostgreSQL lets many connections work at once, of several servers too. Registering still goes over
one of them, so that reports that come at the same time share a commit; the others read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import from_json
from sqlalchemy import create_engine, event
from sqlalchemy.pool import QueuePool

from seriesgate.server.registry.store import DatabaseUnusable
from seriesgate.server.sql.column_types import json_text

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import URL, Engine

_CONNECT_TIMEOUT = 10  # seconds

# For each session. Limits in milliseconds: a query that takes longer helps nobody any more, and a
# server that hangs or is cut off must not keep its locks.
_SESSION = {
    "statement_timeout": "30000",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": "60000",
    "TimeZone": "UTC",
}
# What a setting of the database server must be, and what it means when it is another.
_REQUIRED = {
    "fsync": ("on", "a power loss can corrupt the database"),
    "full_page_writes": ("on", "a power loss can corrupt the database"),
    "server_encoding": ("UTF8", "it can't hold every name"),
}


def postgresql_engine(url: URL, *, connections: int) -> Engine:
    """Give an engine with at most `connections` connections, made when they are needed.

    A connection that broke while nobody used it is replaced unnoticed. Each is refused with
    DatabaseUnusable if the database server is set up so that it can lose what it committed.
    """
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT, "application_name": "seriesgate"},
        json_serializer=json_text,
        json_deserializer=from_json,
        hide_parameters=True,  # an error's text must not name the patient
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: psycopg.Connection, _record: object) -> None:
    with connection.cursor() as cursor:
        for name, value in _SESSION.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        for name, (wanted, meaning) in _REQUIRED.items():
            actual = _setting(cursor, name)
            if actual != wanted:
                raise DatabaseUnusable(f"{name} is {actual}, so {meaning}: set it to {wanted}")
        # A site may ask for more than `on`, such as two copies; `off` loses the latest commits.
        if _setting(cursor, "synchronous_commit") == "off":
            cursor.execute("SELECT set_config('synchronous_commit', 'on', false)")
    connection.commit()


def _setting(cursor: psycopg.Cursor, name: str) -> str:
    row = cursor.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""
