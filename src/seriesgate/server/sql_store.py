"""The store on a SQL database, written against SQLAlchemy Core alone: no dialect shows here."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from seriesgate.server.schema import is_current
from seriesgate.server.sql_database import SqlDatabase
from seriesgate.server.sql_read import read_history, read_page, read_series
from seriesgate.server.sql_register import PostedReport
from seriesgate.server.store import Registration, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from seriesgate.series.report import Series
    from seriesgate.server.store import (
        AcceptedReport,
        PagePosition,
        SeriesFilter,
        SeriesPage,
        StoredSeries,
    )

SeriesDatabase: TypeAlias = SqlDatabase[PostedReport, Registration]


class SqlSeriesStore:
    """A `SeriesStore` on a database whose schema is up to date.

    `clock` gives the time of the server, aware. The store owns the database, which others may use
    as well: `close` closes it.
    """

    def __init__(self, database: SeriesDatabase, clock: Callable[[], datetime]) -> None:
        self.database = database
        self._clock = clock

    async def register(self, report: Series, idempotency_key: str | None = None) -> Registration:
        """See `SeriesStore.register`. Reports that wait are committed in one transaction."""
        posted = PostedReport(report, idempotency_key, self._clock())
        return await self.database.write_with_others(posted)

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        """See `SeriesStore.get`."""
        return await self.database.read(
            lambda connection: read_series(connection, series_instance_uid)
        )

    async def page(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> SeriesPage:
        """See `SeriesStore.page`."""
        return await self.database.read(
            lambda connection: read_page(connection, wanted, limit, after)
        )

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        """See `SeriesStore.history`."""
        return await self.database.read(
            lambda connection: read_history(connection, series_instance_uid, limit)
        )

    async def check(self) -> None:
        """See `SeriesStore.check`. Takes the write lock and lets it go."""
        if not await self.database.write(is_current):
            raise StoreUnavailable("the database has the schema of another version")

    async def close(self) -> None:
        """See `SeriesStore.close`."""
        await self.database.close()
