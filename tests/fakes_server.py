"""Stand-ins for what the server talks to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seriesgate.server.merge import canonical_json, merge
from seriesgate.server.store import (
    AcceptedReport,
    PagePosition,
    Registration,
    SeriesFilter,
    SeriesPage,
    StoredSeries,
    StoreUnavailable,
)
from seriesgate.server.tokens import Grant, TokenNameTaken, TokenRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from seriesgate.series.report import Series


class MemorySeriesStore:
    """A `SeriesStore` in memory. `out_of_order` makes every call fail as a broken database does."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.out_of_order = False
        self._clock = clock
        self._closed = False
        self._rows: dict[str, StoredSeries] = {}
        self._history: dict[str, dict[str, AcceptedReport]] = {}

    async def register(self, report: Series, idempotency_key: str | None = None) -> Registration:
        await self.check()
        now = self._clock()
        registration = merge(self._rows.get(report.SeriesInstanceUID), report, now)
        self._rows[report.SeriesInstanceUID] = registration.series
        text = canonical_json(report)
        entries = self._history.setdefault(report.SeriesInstanceUID, {})
        entries.setdefault(text, AcceptedReport(text, now, idempotency_key))
        return registration

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        await self.check()
        return self._rows.get(series_instance_uid)

    async def page(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> SeriesPage:
        await self.check()
        rows = [row for row in self._rows.values() if _matches(row, wanted)]
        rows.sort(key=_position, reverse=True)
        if after is not None:
            position = (after.received_at, after.series_instance_uid)
            rows = [row for row in rows if _position(row) < position]
        page = rows[:limit]
        following = PagePosition(*_position(page[-1])) if len(rows) > limit else None
        return SeriesPage(page, following)

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        await self.check()
        entries = list(self._history.get(series_instance_uid, {}).values())
        entries.sort(key=lambda entry: entry.received_at, reverse=True)
        return entries[:limit]

    async def check(self) -> None:
        if self._closed or self.out_of_order:
            raise StoreUnavailable("the store is out of order")

    async def close(self) -> None:
        self._closed = True


class MemoryTokenStore:
    """A `TokenStore` in memory."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._records: dict[str, TokenRecord] = {}

    async def add(self, grant: Grant) -> TokenRecord:
        if grant.name in self._records:
            raise TokenNameTaken
        self._records[grant.name] = TokenRecord(grant, self._clock(), None)
        return self._records[grant.name]

    async def revoke(self, name: str) -> TokenRecord | None:
        record = self._records.get(name)
        if record is not None and record.revoked_at is None:
            record = replace(record, revoked_at=self._clock())
            self._records[name] = record
        return record

    async def records(self) -> list[TokenRecord]:
        return [self._records[name] for name in sorted(self._records)]


def _position(row: StoredSeries) -> tuple[datetime, str]:
    return (row.ReceivedAt, row.SeriesInstanceUID)


def _matches(row: StoredSeries, wanted: SeriesFilter) -> bool:
    pairs = (
        (wanted.study_instance_uid, row.StudyInstanceUID),
        (wanted.patient_id, row.PatientID),
        (wanted.modality, row.Modality),
    )
    return all(value is None or value == actual for value, actual in pairs)
