"""What SQLite would do in the middle of a write, in small pieces while there is nothing else to do.

Left to itself, FTS5 merges parts of the index of texts when they have become many, and that write
waits for all of it: one in forty, for 50 ms with a million series. A checkpoint is the same.

After a deletion it goes on until nothing of the series is left in the file: until all parts of the
index of texts are merged, and then with a checkpoint that empties the write-ahead log.

Decided in ADR 26, for deletions in ADR 57.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.sql.database import TROUBLE
from seriesgate.server.sql.text_index import begin_full_merge, merge_texts

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# After so many pieces: a checkpoint writes each page that changed meanwhile, of which those in the
# middle of an index are the same ones again and again. Those of a merge count as well, for it may
# go on for minutes; left to itself, SQLite would checkpoint all of them in the middle of a write.
_CHECKPOINT_EVERY = 30


class _Erasure(IntEnum):
    """How far the file is with what was deleted.

    Kept in the file, where SQLite has a place for a number of the program's own, and part of the
    transaction: an end of the program in the middle of it is made up for after the next start.
    """

    DONE = 0
    DUE = 1
    MERGING = 2
    MERGED = 3


def note_erasure(connection: Connection) -> None:
    """Note that something was deleted; nothing to do on PostgreSQL."""
    if connection.dialect.name == "sqlite":
        _set_erasure(connection, _Erasure.DUE)


class SqliteUpkeep:
    """The upkeep of the database of `engine`, on whose one thread it is done."""

    def __init__(self, engine: Engine, bulkheads: Bulkheads | None = None) -> None:
        self._engine = engine
        self._texts = (bulkheads or Bulkheads()).task("text index")
        self._pieces = 0

    def step(self) -> bool:
        """Do a piece, of a few milliseconds; return whether there is more to do now."""
        has_more, erasure = False, _Erasure.DONE
        with self._texts.unit(expected=TROUBLE):
            has_more, erasure = self._merge()
        self._pieces += 1
        if erasure is _Erasure.MERGED and self._empty_log():
            with self._engine.begin() as connection:
                _set_erasure(connection, _Erasure.DONE)
        elif self._pieces >= _CHECKPOINT_EVERY:
            self._checkpoint("PASSIVE")
        return has_more

    def _merge(self) -> tuple[bool, _Erasure]:
        """Merge some of the texts; return whether there is more, and how far the erasure is."""
        with self._engine.begin() as connection:
            erasure = _Erasure(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            if erasure is _Erasure.DUE:
                begin_full_merge(connection)
                _set_erasure(connection, _Erasure.MERGING)
                return True, _Erasure.MERGING
            has_more = merge_texts(connection)
            if erasure is _Erasure.MERGING and not has_more:
                erasure = _Erasure.MERGED
                _set_erasure(connection, erasure)
        return has_more, erasure

    def _empty_log(self) -> bool:
        """Write back what is in the log and cut it to nothing; False where a reader is in it."""
        _, in_log, written_back = self._checkpoint("PASSIVE")
        if in_log != written_back:  # whoever cuts it would wait for the reader, and all for him
            return False
        is_busy, _, _ = self._checkpoint("TRUNCATE")
        return not is_busy

    def _checkpoint(self, mode: str) -> tuple[int, int, int]:
        """Return whether it was hindered, how many pages the log has, how many are written back."""
        self._pieces = 0
        # Outside of a transaction, which SQLAlchemy would begin.
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            try:
                cursor.execute(f"PRAGMA wal_checkpoint({mode})")
                ((busy, in_log, written_back),) = cursor.fetchall()
                return busy, in_log, written_back
            finally:
                cursor.close()
        finally:
            connection.close()


def _set_erasure(connection: Connection, erasure: _Erasure) -> None:
    connection.exec_driver_sql(f"PRAGMA user_version = {erasure.value}")
