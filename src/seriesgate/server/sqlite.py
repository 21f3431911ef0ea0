"""How a SQLite file is opened, so that a commit survives power loss and the file stays whole.

One connection, used by one thread at a time, with a rollback journal (`journal_mode=DELETE`,
`synchronous=EXTRA`: the folder is synced too, after the journal is unlinked) and not a
write-ahead log. SQLite before 3.51.3 can corrupt a database in WAL mode that more than one
connection uses, and this file is one that people open: with a second server, the `sqlite3`
shell, a backup script, each with the SQLite it was built with. With a rollback journal all of
them are safe. It costs about 1.5 ms a commit on an SSD, which group commit shares among all the
posts that wait.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine, event
from sqlalchemy.pool import QueuePool

from seriesgate.server.store import DatabaseUnusable

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from sqlalchemy import Connection, Engine

_PRAGMAS = {"journal_mode": "delete", "synchronous": 3}  # 3 is EXTRA


def sqlite_engine(path: Path, *, busy_timeout: float = 5.0) -> Engine:
    """Give an engine with one connection to the file, which is made, for its owner only, if absent.

    Transactions take the write lock when they begin (BEGIN IMMEDIATE), so that what they read
    can't change before they write; those of `engine.execution_options(read_only=True)` only read.
    Where another process holds the lock they wait `busy_timeout` seconds for it.
    Raises OSError when the file can't be made or opened.
    """
    # The file holds patient data; the journal gets the same mode from SQLite.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": busy_timeout, "check_same_thread": False},
        hide_parameters=True,  # an error's text must not name the patient
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # Off: the driver would begin transactions by itself, late and not before DDL.
    connection.isolation_level = None
    for name, value in _PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")
        (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
        if actual != value:
            raise DatabaseUnusable(f"SQLite can't set {name} to {value} (it is {actual})")


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
