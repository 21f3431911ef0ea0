"""What SQLite would do in the middle of a write, in small pieces while there is nothing else to do.

Left to itself, FTS5 merges parts of the index of texts when they have become many, and that write
waits for all of it: one in forty, for 50 ms with a million series. A checkpoint is the same.

Decided in ADR 26.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seriesgate.server.sql.text_index import merge_texts

if TYPE_CHECKING:
    from sqlalchemy import Engine

# After so many pieces: a checkpoint writes each page that changed meanwhile, of which those in the
# middle of an index are the same ones again and again. Those of a merge count as well, for it may
# go on for minutes; left to itself, SQLite would checkpoint all of them in the middle of a write.
_CHECKPOINT_EVERY = 30


class SqliteUpkeep:
    """The upkeep of the database of `engine`, on whose one thread it is done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pieces = 0

    def step(self) -> bool:
        """Do a piece, of a few milliseconds; return whether there is more to do now."""
        with self._engine.begin() as connection:
            has_more = merge_texts(connection)
        self._pieces += 1
        if self._pieces >= _CHECKPOINT_EVERY:
            self._pieces = 0
            self._checkpoint()
        return has_more

    def _checkpoint(self) -> None:
        # Outside of a transaction, which SQLAlchemy would begin.
        connection = self._engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        finally:
            connection.close()
