"""The store on a SQL database, written against SQLAlchemy Core alone: no dialect shows here."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from seriesgate.server.registry.query import NEWEST_FIRST
from seriesgate.server.registry.store import Registration, StoreUnavailable
from seriesgate.server.sql.database import SqlDatabase
from seriesgate.server.sql.deletion import Deleting, delete_series
from seriesgate.server.sql.previews import read_preview, write_preview
from seriesgate.server.sql.read import (
    read_changes,
    read_forgotten_changes,
    read_history,
    read_latest_change,
    read_minutes,
    read_page,
    read_patients,
    read_series,
    read_studies,
    read_totals,
)
from seriesgate.server.sql.register import PostedReport
from seriesgate.server.sql.repair import repair
from seriesgate.server.sql.schema import is_current
from seriesgate.server.sql.search_bounds import DEFAULT_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from seriesgate.series.report import Series
    from seriesgate.server.registry.preview import Preview
    from seriesgate.server.registry.query import Order, SeriesFilter
    from seriesgate.server.registry.store import (
        AcceptedReport,
        FoundChange,
        MinuteCount,
        PagePosition,
        PatientPage,
        SeriesPage,
        StoredSeries,
        StudyPage,
        Totals,
    )
    from seriesgate.server.sql.search_bounds import SearchBounds

SeriesDatabase: TypeAlias = SqlDatabase[PostedReport, Registration]


class SqlSeriesStore:
    """A `SeriesStore` on a database whose schema is up to date.

    `clock` gives the time of the server, aware; `bounds` say how much one query looks at. The store
    owns the database, which others may use as well: `close` closes it.
    """

    def __init__(
        self,
        database: SeriesDatabase,
        clock: Callable[[], datetime],
        bounds: SearchBounds = DEFAULT_BOUNDS,
    ) -> None:
        self.database = database
        self.clock = clock
        self._bounds = bounds

    async def register(self, report: Series, idempotency_key: str | None = None) -> Registration:
        """See `SeriesStore.register`. Reports that wait are committed in one transaction."""
        posted = PostedReport(report, idempotency_key, self.clock())
        return await self.database.write_with_others(posted)

    async def repair(self, series_instance_uid: str, at_most: int | None) -> Registration | None:
        """See `SeriesStore.repair`."""
        now = self.clock()
        return await self.database.write(
            lambda connection: repair(connection, series_instance_uid, at_most, now)
        )

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        """See `SeriesStore.get`."""
        return await self.database.read(
            lambda connection: read_series(connection, series_instance_uid)
        )

    async def page(
        self,
        wanted: SeriesFilter,
        *,
        limit: int,
        after: PagePosition | None = None,
        order: Order = NEWEST_FIRST,
    ) -> SeriesPage:
        """See `SeriesStore.page`."""
        return await self.database.read(
            lambda connection: read_page(connection, wanted, limit, after, order, self._bounds)
        )

    async def studies(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> StudyPage:
        """See `SeriesStore.studies`."""
        return await self.database.read(
            lambda connection: read_studies(connection, wanted, limit, after, self._bounds)
        )

    async def patients(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> PatientPage:
        """See `SeriesStore.patients`."""
        return await self.database.read(
            lambda connection: read_patients(connection, wanted, limit, after, self._bounds)
        )

    async def totals(self) -> Totals:
        """See `SeriesStore.totals`."""
        return await self.database.read(read_totals)

    async def minutes(self, since: datetime, before: datetime) -> list[MinuteCount]:
        """See `SeriesStore.minutes`."""
        return await self.database.read(lambda connection: read_minutes(connection, since, before))

    async def changes(self, after: int, *, limit: int) -> list[FoundChange]:
        """See `SeriesStore.changes`."""
        return await self.database.read(lambda connection: read_changes(connection, after, limit))

    async def latest_change(self) -> int:
        """See `SeriesStore.latest_change`."""
        return await self.database.read(read_latest_change)

    async def forgotten_changes(self) -> int:
        """See `SeriesStore.forgotten_changes`."""
        return await self.database.read(read_forgotten_changes)

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        """See `SeriesStore.history`."""
        return await self.database.read(
            lambda connection: read_history(connection, series_instance_uid, limit)
        )

    async def put_preview(self, series_instance_uid: str, preview: Preview) -> bool:
        """See `SeriesStore.put_preview`."""
        return await self.database.write(
            lambda connection: write_preview(connection, series_instance_uid, preview)
        )

    async def preview(self, series_instance_uid: str) -> Preview | None:
        """See `SeriesStore.preview`."""
        return await self.database.read(
            lambda connection: read_preview(connection, series_instance_uid)
        )

    async def delete_series(self, series_instance_uid: str, *, may_return: bool = False) -> bool:
        """See `SeriesStore.delete_series`."""
        now = self.clock()
        return await self.database.write(
            lambda connection: delete_series(connection, series_instance_uid, now, may_return)
        )

    async def delete_patient(self, patient_id: str, *, may_return: bool = False) -> int:
        """See `SeriesStore.delete_patient`. Others get their turn between the pieces."""
        deleting = Deleting.of_patient(patient_id, self.clock(), may_return=may_return)
        while await self.database.write(deleting.step):
            pass
        return deleting.deleted

    async def check(self) -> None:
        """See `SeriesStore.check`. Takes the write lock and lets it go."""
        if not await self.database.write(is_current):
            raise StoreUnavailable("the database has the schema of another version")

    async def close(self) -> None:
        """See `SeriesStore.close`."""
        await self.database.close()
