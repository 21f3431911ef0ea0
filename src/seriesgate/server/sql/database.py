"""A SQL database as the stores see it: pieces of work, each one transaction, off the event loop.

The same on every database. What differs is how many connections there are: SQLite has one, on one
thread, which all share; PostgreSQL has one that registers and others for all else.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from seriesgate.server.registry.store import DatabaseUnusable, StoreUnavailable
from seriesgate.server.sql.database_thread import DatabaseThread
from seriesgate.server.sql.reader_threads import ReaderThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from seriesgate.server.bulkheads import Bulkheads

Item = TypeVar("Item")
Result = TypeVar("Result")
T = TypeVar("T")

#: The database as a whole is in trouble, and not what is asked of it now.
TROUBLE = (OperationalError, InterfaceError, InternalError, DatabaseUnusable)

_log = logging.getLogger(__name__)


class SqlDatabase(Generic[Item, Result]):
    """Transactions on the database of `engine`, which this object owns.

    `write_group` writes a group of items that came at the same time, in the transaction that it is
    given, and gives the result of each, or the exception that its caller shall get. `readers` is
    how many threads with a connection each there are besides; 0 where one connection does it all.
    `tidy` and `bulkheads` are as for DatabaseThread.
    `observe` is told of each transaction on those threads: `read` or `write`, and the seconds.

    Every method may raise StoreUnavailable, and then nothing of the call was kept.
    """

    def __init__(
        self,
        engine: Engine,
        write_group: Callable[[Connection, Sequence[Item]], Sequence[Result | Exception]],
        *,
        readers: int = 0,
        tidy: Callable[[], bool] = lambda: False,
        bulkheads: Bulkheads | None = None,
        observe: Callable[[str, float], None] = lambda _kind, _seconds: None,
    ) -> None:
        self._engine = engine
        self._read_only = engine.execution_options(read_only=True, postgresql_readonly=True)
        self._write_group = write_group
        self._observe = observe
        self._available = True
        self._tidy = tidy
        self._thread = DatabaseThread(self._commit, tidy=self._tidied, bulkheads=bulkheads)
        self._readers = ReaderThreads(readers) if readers else None

    async def write_with_others(self, item: Item) -> Result:
        """Write `item`, in one transaction with those that wait; give its result when committed."""
        return await self._thread.write(item)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own and give its result when committed."""
        return await self._call(lambda: self._run(self._engine, work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, in a transaction and give its result."""
        return await self._call(lambda: self._run(self._read_only, work))

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""
        await self._thread.close()
        if self._readers is not None:
            await self._readers.close()
        await asyncio.to_thread(self._engine.dispose)

    async def _call(self, function: Callable[[], T]) -> T:
        return await (self._readers or self._thread).call(function)

    def _tidied(self) -> bool:
        with self._trouble_is_unavailable():
            return self._tidy()

    def _commit(self, group: Sequence[Item]) -> Sequence[Result | Exception]:
        def work(connection: Connection) -> Sequence[Result | Exception]:
            return self._write_group(connection, group)

        try:
            return self._run(self._engine, work)
        except IntegrityError:
            # Another server on this database has just added one of the rows: now it is known.
            return self._run(self._engine, work)

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        begin = perf_counter()
        try:
            with self._trouble_is_unavailable(), engine.begin() as connection:
                return work(connection)
        finally:
            kind = "read" if engine is self._read_only else "write"
            self._observe(kind, perf_counter() - begin)

    @contextmanager
    def _trouble_is_unavailable(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError, ProgrammingError):
            raise
        except (DBAPIError, DatabaseUnusable) as error:
            if self._available:
                reason = error.orig if isinstance(error, DBAPIError) else error
                _log.warning("the database can't be used: %s", first_line(reason))
            self._available = False
            raise StoreUnavailable("the database can't be used now") from error
        if not self._available:
            _log.info("the database can be used again")
        self._available = True


def first_line(error: object) -> str:
    """Give what a driver says is wrong; the lines after the first are advice or a query's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
