"""A copy of a SQLite database, taken while a server writes to it.

It is taken through a connection that can only read: that one never writes nor checkpoints, so the
rule that one connection alone does (see `sqlite`) holds. The pages are copied within one read
transaction. The server neither waits for it nor makes it start again; only its write-ahead log
grows meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o600  # the file holds patient data


class BackupFailed(CannotStart):
    """There is no backup; the text is one line that says why."""


def back_up(database_url: str, target: Path) -> None:
    """Write a copy of a SQLite database to `target`, a new file, checked and safe on the disk.

    It is a database of its own, without a write-ahead log. Raises BackupFailed; then there is no
    `target`.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise BackupFailed("the database URL can't be read") from None
    if url.drivername != "sqlite" or not url.database:
        raise BackupFailed("only SQLite is backed up so; for PostgreSQL use pg_dump")
    if target.exists():
        raise BackupFailed(f"{target} exists already; name a new file")
    partial = target.with_name(f"{target.name}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE))
    except OSError as error:
        raise BackupFailed(f"{partial}: {error.strerror}") from error
    try:
        _copy(url.database, partial)
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"no backup of {url.database}: {error}") from error
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _copy(database: str, target: Path) -> None:
    source_uri = f"file:{quote(database)}?mode=ro"
    with (
        closing(sqlite3.connect(source_uri, uri=True)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        ((result,),) = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if result != "ok":
            raise BackupFailed(f"{database} is damaged: {result}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
