"""How a SQLite file is opened, so that a commit survives power loss and the file stays whole.

Write-ahead log with `synchronous=FULL`: one fsync a commit, after which it is safe. A rollback
journal (`journal_mode=DELETE`, `synchronous=EXTRA`) promises the same for five fsyncs, and a
server on it registers two thirds as many series a second.

SQLite before 3.51.3 can corrupt a database in WAL mode when two connections write or checkpoint
it at the same moment (the "WAL-reset bug"). So exactly one connection ever does: the pool has no
more than one, and a lock beside the file keeps a second server out. Others may read the file
while the server runs; whoever wants to write to it with a tool stops the server first.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic_core import from_json
from sqlalchemy import URL, create_engine, event
from sqlalchemy.pool import QueuePool

from seriesgate.server.registry.keys import composed
from seriesgate.server.registry.store import DatabaseInUse, DatabaseUnusable
from seriesgate.server.sql.column_types import json_text

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path
    from typing import BinaryIO

    from sqlalchemy import Connection, Engine

# The file holds patient data: it is its owner's alone. SQLite gives its other files the same mode.
_MODE = 0o600
_PRAGMAS: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    # A checkpoint writes each changed page once, however often it was, and all wait for it: so few
    # of them. The log grows to some 64 MB (of pages of 4 KB).
    "wal_autocheckpoint": 16_000,
    # Of a million series an entry in each index is anywhere: 64 MB (in KB) of pages stay at hand.
    "cache_size": -65_536,
    # What is deleted, or moved within the file, is overwritten with zeros.
    "secure_delete": 1,
}


def sqlite_engine(path: Path, *, busy_timeout: float = 5.0) -> Engine:
    """Give an engine with one connection to the file, which is made if it is absent.

    Transactions take the write lock when they begin (BEGIN IMMEDIATE), so that what they read
    can't change before they write; those of `engine.execution_options(read_only=True)` only read.
    Where a tool holds the lock they wait `busy_timeout` seconds for it.

    `dispose` lets other servers use the file again. Raises DatabaseInUse when another one does
    now, OSError when the file or its lock can't be made or opened.
    """
    with suppress(FileExistsError):
        # Only a new file is opened here: to close one that this process has open in SQLite as well
        # would drop SQLite's locks (fcntl(2)).
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, _MODE))
    lock = _lock(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_reset_on_return=None,  # a transaction ends by itself, always
        connect_args={"timeout": busy_timeout, "check_same_thread": False},
        json_serializer=json_text,
        json_deserializer=from_json,
        hide_parameters=True,  # an error's text must not name the patient
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "engine_disposed", lambda _engine: lock.close())
    return engine


def _lock(path: Path) -> BinaryIO:
    """Give the locked file that keeps other servers out until it is closed, or the process ends."""
    name = path.with_name(f"{path.name}.lock")
    lock = os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, _MODE), "rb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DatabaseInUse("another server is using it; stop that one first") from None
    return lock


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    for name, value in _PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")
        (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
        if actual != value:
            raise DatabaseUnusable(f"SQLite can't set {name} to {value} (it is {actual})")
    connection.create_function("composed", 1, _composed, deterministic=True)


def _composed(text: str | None) -> str | None:
    return None if text is None else composed(text)


def _begin(connection: Connection) -> None:
    # The driver would begin it by itself, but late, and not at all before a change of the schema.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
