"""The store on a SQL database, written against SQLAlchemy Core alone: no dialect shows here."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from seriesgate.server.database_thread import DatabaseThread
from seriesgate.server.sql_read import read_history, read_page, read_series
from seriesgate.server.sql_register import PostedReport, register_group
from seriesgate.server.store import Registration, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from seriesgate.series.report import Series
    from seriesgate.server.store import (
        AcceptedReport,
        PagePosition,
        SeriesContradiction,
        SeriesFilter,
        SeriesPage,
        StoredSeries,
    )

T = TypeVar("T")

_log = logging.getLogger(__name__)


class SqlSeriesStore:
    """A `SeriesStore` on a database whose schema is up to date (`schema.upgrade`).

    `clock` gives the time of the server, aware. The store owns the engine: `close` disposes of it.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._clock = clock
        self._available = True
        self._thread = DatabaseThread(self._commit)

    async def register(self, report: Series, idempotency_key: str | None = None) -> Registration:
        """See `SeriesStore.register`. Reports that wait are committed in one transaction."""
        return await self._thread.write(PostedReport(report, idempotency_key, self._clock()))

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        """See `SeriesStore.get`."""
        return await self._read(lambda connection: read_series(connection, series_instance_uid))

    async def page(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> SeriesPage:
        """See `SeriesStore.page`."""
        return await self._read(lambda connection: read_page(connection, wanted, limit, after))

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        """See `SeriesStore.history`."""
        return await self._read(
            lambda connection: read_history(connection, series_instance_uid, limit)
        )

    async def check(self) -> None:
        """See `SeriesStore.check`. Takes the write lock and lets it go."""
        await self._thread.call(self._check)

    async def close(self) -> None:
        """See `SeriesStore.close`."""
        await self._thread.close()
        await asyncio.to_thread(self._engine.dispose)

    def _commit(
        self, group: Sequence[PostedReport]
    ) -> Sequence[Registration | SeriesContradiction]:
        try:
            with self._transaction(self._engine) as connection:
                return register_group(connection, group)
        except IntegrityError:
            # Another server on this database has just added one of the series: now it is known.
            with self._transaction(self._engine) as connection:
                return register_group(connection, group)

    def _check(self) -> None:
        with self._transaction(self._engine) as connection:
            connection.execute(text("SELECT 1"))

    async def _read(self, read: Callable[[Connection], T]) -> T:
        def read_in_transaction() -> T:
            with self._transaction(self._reader) as connection:
                return read(connection)

        return await self._thread.call(read_in_transaction)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        """Commit or roll back as a whole. A database that can't be used is StoreUnavailable."""
        try:
            with engine.begin() as connection:
                yield connection
        except (IntegrityError, DataError, ProgrammingError):
            raise
        except DBAPIError as error:
            if self._available:
                _log.warning("the database can't be used: %s", error.orig)
            self._available = False
            raise StoreUnavailable("the database can't be used now") from error
        if not self._available:
            _log.info("the database can be used again")
        self._available = True
