"""The SQLite file of the journal: opened, checked, brought forward, or put away when damaged."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seriesgate.adapters.journal.schema import MIGRATIONS
from seriesgate.adapters.journal.seals import DamagedRow
from seriesgate.gateway.ports import JournalFailed, JournalFull
from seriesgate.series.delivery import DeliveryState
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

# What SQLite keeps beside a database in WAL mode.
_COMPANIONS = ("", "-wal", "-shm")
_NOT_A_JOURNAL = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_WAL_PAGES = 1000
# Left by a run that read something else than was written.
_FOUND_DAMAGED = 0x44414D


# What SQLite raises for a value that it does not take.
_UNFIT_VALUE = (sqlite3.ProgrammingError, sqlite3.InterfaceError, UnicodeEncodeError)


class JournalUnusable(CannotStart):
    """The journal cannot be opened, and putting it away would not be right."""


class _Damaged(Exception):
    pass


def open_journal(path: Path, *, is_expected: bool, begins_anew: bool = True) -> sqlite3.Connection:
    """Return the one connection to the journal at `path`, durable at each commit.

    A damaged file is put away beside it, and a new one begun: the gateway then rebuilds from the
    spool what is not delivered. Without `begins_anew` it is left alone, and cannot be used.
    `is_expected` says that there must have been one: the loss is logged. Only the calling thread
    may use the connection. Raises JournalUnusable.
    """
    if is_expected and not (path.exists() and path.stat().st_size):
        _log.error(
            "the journal %s is lost: what is in the spool is reported anew, "
            "what was delivered before is not remembered",
            path,
        )
    try:
        try:
            return _opened(path)
        except _Damaged as error:
            if not begins_anew:
                raise
            kept = _put_away(path)
            _log.error(
                "the journal %s is damaged (%s) and kept as %s: what is in the spool is reported "
                "anew, what was delivered before is not remembered",
                path,
                error,
                kept,
            )
            return _opened(path)
    except (OSError, sqlite3.Error, _Damaged) as error:
        raise JournalUnusable(f"the journal {path} cannot be used: {error}") from error


@contextmanager
def mapped_errors(connection: sqlite3.Connection, *, writes: bool = False) -> Iterator[None]:
    """Turn the errors of SQLite, and of values that are damaged, into those of the port.

    A value that cannot be written says nothing about what is in the file: its error goes through.
    """
    try:
        yield
    except _UNFIT_VALUE:
        raise
    except (sqlite3.Error, ValueError) as error:
        if writes and isinstance(error, ValueError) and not isinstance(error, DamagedRow):
            raise
        code = _code(error)
        if code == sqlite3.SQLITE_FULL:
            raise JournalFull(f"the journal cannot be written: {error}") from error
        # Without a code it is no error of SQLite: what it has read is not what was written.
        if code and code not in _NOT_A_JOURNAL:
            raise JournalFailed(f"the journal failed: {error}") from error
        with suppress(sqlite3.Error):
            connection.execute(f"PRAGMA application_id = {_FOUND_DAMAGED}")
        raise JournalFailed(
            "the journal is damaged: the next start puts it away and reports anew what is in the "
            "spool"
        ) from error


def _opened(path: Path) -> sqlite3.Connection:
    _create_private(path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    try:
        _configure(connection)
        _check(connection)
        _bring_forward(connection, path)
        _check_schema(connection)
        _check_deliveries(connection)
    except ValueError as error:
        connection.close()
        raise _Damaged("a text in it is none any more") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        if _code(error) in _NOT_A_JOURNAL:
            raise _Damaged(str(error).splitlines()[0]) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _create_private(path: Path) -> None:
    """SQLite would make a file that others can read: it holds the reports that are owed."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _configure(connection: sqlite3.Connection) -> None:
    # The only connection there is. Several on one WAL file can corrupt it before SQLite 3.51.3.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    for name, value, effective in (
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("foreign_keys", "ON", 1),
        ("wal_autocheckpoint", _WAL_PAGES, _WAL_PAGES),
    ):
        connection.execute(f"PRAGMA {name} = {value}")
        # Read back: SQLite ignores what it can't do.
        if connection.execute(f"PRAGMA {name}").fetchone()[0] != effective:
            raise sqlite3.OperationalError(f"{name} cannot be set to {value}")


def _check(connection: sqlite3.Connection) -> None:
    with closing(connection.execute("PRAGMA integrity_check(1)")) as cursor:
        verdict = cursor.fetchone()[0]
    if verdict != "ok":
        raise _Damaged(verdict.splitlines()[0])
    if connection.execute("PRAGMA application_id").fetchone()[0] == _FOUND_DAMAGED:
        raise _Damaged("the run before has found it so")


def _bring_forward(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise JournalUnusable(
            f"the journal {path} was written by a newer seriesgate (schema {version}): "
            "run that version, or a newer one"
        )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN; {migration} PRAGMA user_version = {number}; COMMIT;")


def _check_schema(connection: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(":memory:")) as right:
        for migration in MIGRATIONS:
            right.executescript(migration)
        if _schema(connection) != _schema(right):
            raise _Damaged("its tables are not those of this program")


def _schema(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT type, name, tbl_name, CAST(sql AS BLOB) FROM sqlite_schema"
    ).fetchall()


def _check_deliveries(connection: sqlite3.Connection) -> None:
    """Check that what is owed can be told from what is not, and can be sent.

    No check of SQLite finds a letter that has changed inside a text.
    """
    (damaged,) = connection.execute(
        "SELECT count(*) FROM delivery LEFT JOIN series USING (series_id) WHERE CASE"
        " WHEN state IN (?, ?) THEN settled_at IS NULL"
        " WHEN NOT json_valid(report) THEN true"
        " ELSE state NOT IN (?, ?) OR settled_at IS NOT NULL"
        "  OR json_extract(report, '$.SeriesInstanceUID') IS NOT series_instance_uid"
        "  OR json_extract(report, '$.Revision') IS NOT delivery.revision"
        " END",
        (
            DeliveryState.DELIVERED,
            DeliveryState.DISCARDED,
            DeliveryState.PENDING,
            DeliveryState.DEAD,
        ),
    ).fetchone()
    if damaged:
        raise _Damaged(f"{damaged} deliveries cannot be read")


def _put_away(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    kept = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in _COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(f"{kept}{suffix}")
    return kept


def _code(error: Exception) -> int:
    """Return the primary result code: the extended ones have it in their low byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
