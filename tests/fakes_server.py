"""Stand-ins for what the server talks to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seriesgate.series.report import Series
from seriesgate.server.access.tokens import Grant, TokenNameTaken, TokenRecord
from seriesgate.server.registry.gateways import (
    MOST_GATEWAYS,
    GatewayRecord,
    owner_of,
    still_wanted,
    who_must_go,
    with_retry,
)
from seriesgate.server.registry.keys import folded, key, same_text, search_text
from seriesgate.server.registry.merge import canonical_json, merge, repaired
from seriesgate.server.registry.query import (
    NEWEST_FIRST,
    Attribute,
    Between,
    Level,
    OneOf,
    SortBy,
    Wildcard,
)
from seriesgate.server.registry.store import (
    AcceptedReport,
    AnyChange,
    Change,
    DeletedSeries,
    Deletion,
    DeletionReason,
    MinuteCount,
    Outcome,
    PagePosition,
    PatientPage,
    PatientSummary,
    Registration,
    SeriesPage,
    SeriesWasDeleted,
    StoredSeries,
    StoreUnavailable,
    StudyPage,
    StudySummary,
    Totals,
    UnknownPosition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from seriesgate.series.heartbeat import Heartbeat
    from seriesgate.server.access.sessions import Session
    from seriesgate.server.registry.preview import Preview
    from seriesgate.server.registry.query import Condition, Order, SeriesFilter


class MemorySeriesStore:
    """A `SeriesStore` in memory. `out_of_order` makes every call fail as a broken database does."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.out_of_order = False
        self._clock = clock
        self._closed = False
        self._rows: dict[str, StoredSeries] = {}
        self._changes: list[AnyChange] = []
        self._latest_change = 0
        self._minutes: dict[datetime, tuple[int, int]] = {}
        self._kept_out: set[str] = set()
        self._history: dict[str, dict[str, AcceptedReport]] = {}
        self._withdrawn: set[str] = set()
        self._previews: dict[str, Preview] = {}

    async def register(self, report: Series, idempotency_key: str | None = None) -> Registration:
        await self.check()
        now = self._clock()
        if report.SeriesInstanceUID in self._kept_out:
            raise SeriesWasDeleted
        known = self._rows.get(report.SeriesInstanceUID)
        if known is not None and canonical_json(report) in self._withdrawn:
            return Registration(known, Outcome.UNCHANGED)
        registration = merge(known, report, now)
        self._keep(known, registration)
        text = canonical_json(report)
        entries = self._history.setdefault(report.SeriesInstanceUID, {})
        entries.setdefault(text, AcceptedReport(text, now, idempotency_key))
        return registration

    def _keep(self, before: StoredSeries | None, registration: Registration) -> None:
        self._rows[registration.series.SeriesInstanceUID] = registration.series
        if registration.outcome is not Outcome.UNCHANGED:
            self._latest_change += 1
            change = Change(self._latest_change, registration.outcome, registration.series)
            self._changes.append(change)
            self._count(before, registration.series)

    async def repair(self, series_instance_uid: str, at_most: int | None) -> Registration | None:
        await self.check()
        known = self._rows.get(series_instance_uid)
        if known is None:
            return None
        texts = self._history[series_instance_uid].keys() - self._withdrawn
        reports = {text: Series.model_validate_json(text) for text in texts}
        done = repaired(known, reports, at_most, self._clock())
        self._withdrawn.update(done.withdrawn)
        self._keep(known, done.registration)
        return done.registration

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        await self.check()
        return self._rows.get(series_instance_uid)

    async def page(
        self,
        wanted: SeriesFilter,
        *,
        limit: int,
        after: PagePosition | None = None,
        order: Order = NEWEST_FIRST,
    ) -> SeriesPage:
        await self.check()
        rows, following = self._page(wanted, limit, after, order)
        return SeriesPage(rows, following)

    async def studies(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> StudyPage:
        await self.check()
        rows, following = self._page(replace(wanted, level=Level.STUDY), limit, after)
        return StudyPage([self._study(row) for row in rows], following)

    async def patients(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> PatientPage:
        await self.check()
        rows, following = self._page(replace(wanted, level=Level.PATIENT), limit, after)
        return PatientPage([self._patient(row) for row in rows], following)

    async def totals(self) -> Totals:
        await self.check()
        rows = self._rows.values()
        return Totals(
            Patients=len({key(Attribute.PATIENT_ID, row.PatientID) for row in rows}),
            Studies=len({row.StudyInstanceUID for row in rows}),
            Series=len(rows),
            Instances=sum(row.InstancesInSeries for row in rows),
        )

    async def minutes(self, since: datetime, before: datetime) -> list[MinuteCount]:
        await self.check()
        return [
            MinuteCount(Minute=minute, Series=series, Instances=instances)
            for minute, (series, instances) in sorted(self._minutes.items())
            if since <= minute < before
        ]

    def _count(self, before: StoredSeries | None, row: StoredSeries) -> None:
        minute = row.UpdatedAt.replace(second=0, microsecond=0)
        series, instances = self._minutes.get(minute, (0, 0))
        added = max(0, row.InstancesInSeries - (before.InstancesInSeries if before else 0))
        self._minutes[minute] = (series + (before is None), instances + added)

    async def changes(self, after: int, *, limit: int) -> list[AnyChange]:
        await self.check()
        changes = [each for each in self._changes if each.sequence > after][:limit]
        return [
            replace(each, series=self._seen_now(each.series)) if isinstance(each, Change) else each
            for each in changes
        ]

    async def latest_change(self) -> int:
        await self.check()
        return self._latest_change

    async def delete_series(self, series_instance_uid: str, *, may_return: bool = False) -> bool:
        await self.check()
        was_there = series_instance_uid in self._rows
        was_kept_out = series_instance_uid in self._kept_out
        if was_there:
            self._delete(series_instance_uid)
        if may_return:
            self._kept_out.discard(series_instance_uid)
            return was_there or was_kept_out
        if was_there:
            self._kept_out.add(series_instance_uid)
        return was_there

    async def delete_patient(self, patient_id: str, *, may_return: bool = False) -> int:
        await self.check()
        of_patient = [
            uid for uid, row in self._rows.items() if same_text(row.PatientID, patient_id)
        ]
        for uid in of_patient:
            await self.delete_series(uid, may_return=may_return)
        return len(of_patient)

    def _delete(self, uid: str) -> None:
        del self._rows[uid]
        self._withdrawn -= self._history.pop(uid).keys()
        self._previews.pop(uid, None)
        self._changes = [each for each in self._changes if each.series.SeriesInstanceUID != uid]
        self._latest_change += 1
        deleted = DeletedSeries(
            SeriesInstanceUID=uid, DeletedAt=self._clock(), Reason=DeletionReason.DELETED
        )
        self._changes.append(Deletion(self._latest_change, deleted))

    async def forgotten_changes(self) -> int:
        await self.check()
        return 0

    def _page(
        self,
        wanted: SeriesFilter,
        limit: int,
        after: PagePosition | None,
        order: Order = NEWEST_FIRST,
    ) -> tuple[list[StoredSeries], PagePosition | None]:
        every = sorted(self._rows.values(), key=_by_time)
        rows = [row for row in _firsts(every, wanted.level) if _matches(row, wanted, every)]
        by = _order_of(wanted, order)
        rows.sort(key=by, reverse=order.descending)
        if after is not None:
            last: tuple[Any, ...] = (after.received_at, after.series_instance_uid)
            if by is not _by_time:
                if after.series_instance_uid not in self._rows:
                    raise UnknownPosition(
                        "ends at a series that is not there any more: begin the list anew"
                    )
                last = by(self._rows[after.series_instance_uid])
            rows = [row for row in rows if (by(row) < last if order.descending else by(row) > last)]
        page = rows[:limit]
        if len(rows) <= limit:
            return page, None
        *keys, received_at, uid = by(page[-1])
        return page, PagePosition(received_at, uid, *keys)

    def _study(self, row: StoredSeries) -> StudySummary:
        rows = [
            each for each in self._rows.values() if each.StudyInstanceUID == row.StudyInstanceUID
        ]
        return StudySummary(
            ModalitiesInStudy=sorted({each.Modality.strip(" ")[:64] for each in rows} - {""}),
            NumberOfStudyRelatedSeries=len(rows),
            NumberOfStudyRelatedInstances=sum(each.InstancesInSeries for each in rows),
            **row.model_dump(include=set(StudySummary.model_fields)),
        )

    def _patient(self, row: StoredSeries) -> PatientSummary:
        own = [
            each
            for each in self._rows.values()
            if key(Attribute.PATIENT_ID, each.PatientID) == key(Attribute.PATIENT_ID, row.PatientID)
        ]
        firsts = _firsts(sorted(self._rows.values(), key=_by_time), Level.STUDY)
        return PatientSummary(
            NumberOfPatientRelatedStudies=len([each for each in own if each in firsts]),
            NumberOfPatientRelatedSeries=len(own),
            NumberOfPatientRelatedInstances=sum(each.InstancesInSeries for each in own),
            **row.model_dump(include={"PatientID", "PatientName", "ReceivedAt"}),
        )

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        await self.check()
        entries = list(self._history.get(series_instance_uid, {}).values())
        entries.sort(key=lambda entry: entry.received_at, reverse=True)
        return entries[:limit]

    async def put_preview(self, series_instance_uid: str, preview: Preview) -> bool:
        await self.check()
        if series_instance_uid not in self._rows:
            return False
        self._previews[series_instance_uid] = preview
        self._rows[series_instance_uid] = self._seen_now(self._rows[series_instance_uid])
        return True

    async def preview(self, series_instance_uid: str) -> Preview | None:
        await self.check()
        return self._previews.get(series_instance_uid)

    def _seen_now(self, row: StoredSeries) -> StoredSeries:
        return row.model_copy(update={"HasPreview": row.SeriesInstanceUID in self._previews})

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


class MemorySessionStore:
    """A `SessionStore` in memory."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    async def begin(self, session: Session, now: datetime) -> None:
        for digest in [each.digest for each in self._sessions.values() if each.expires_at <= now]:
            del self._sessions[digest]
        self._sessions[session.digest] = session

    async def find(self, digest: str) -> Session | None:
        return self._sessions.get(digest)

    async def end(self, digest: str) -> None:
        self._sessions.pop(digest, None)


class MemoryGatewayStore:
    """A `GatewayStore` in memory."""

    def __init__(self) -> None:
        self._records: dict[str, GatewayRecord] = {}

    async def beat(
        self,
        name: str,
        heartbeat: Heartbeat,
        now: datetime,
        token: str | None = None,
        valid: Collection[str] = (),
    ) -> tuple[str, ...]:
        known = self._records.get(name)
        owner = owner_of(known.token if known else None, token, valid)
        if known is None and len(self._records) >= MOST_GATEWAYS:
            every = [(each.name, each.token, each.last_seen_at) for each in self._records.values()]
            del self._records[who_must_go(every, token)]
        retries = still_wanted(known.retries if known else {}, heartbeat)
        self._records[name] = GatewayRecord(name, now, heartbeat, retries, owner)
        return tuple(retries)

    async def allow(self, name: str, token: str) -> bool:
        known = self._records.get(name)
        if known is not None:
            self._records[name] = replace(known, token=token)
        return known is not None

    async def records(self) -> list[GatewayRecord]:
        return [self._records[name] for name in sorted(self._records)]

    async def find(self, name: str) -> GatewayRecord | None:
        return self._records.get(name)

    async def ask_retry(self, name: str, delivery_id: str) -> bool:
        record = self._records.get(name)
        wanted = None if record is None else with_retry(record, delivery_id)
        if wanted is not None:
            self._records[name] = wanted
        return wanted is not None

    async def forget(self, name: str) -> bool:
        return self._records.pop(name, None) is not None


def _by_time(row: StoredSeries) -> tuple[Any, ...]:
    return (row.ReceivedAt, row.SeriesInstanceUID)


def _order_of(wanted: SeriesFilter, order: Order) -> Callable[[StoredSeries], tuple[Any, ...]]:
    """By what is asked for; in place of time, by what a range leads."""
    if order.by is SortBy.INSTANCES:
        return lambda row: (row.InstancesInSeries, *_by_time(row))
    leading = wanted.leading
    if order.by is not SortBy.RECEIVED:
        attribute = Attribute(order.by.value)
    elif leading is None or isinstance(leading, OneOf):
        return _by_time
    else:
        attribute = leading.attribute
    return lambda row: (key(attribute, getattr(row, attribute)), *_by_time(row))


def _firsts(oldest_first: list[StoredSeries], level: Level) -> list[StoredSeries]:
    if level is Level.SERIES:
        return oldest_first
    attribute = Attribute.STUDY if level is Level.STUDY else Attribute.PATIENT_ID
    firsts: dict[str, StoredSeries] = {}
    for row in oldest_first:
        firsts.setdefault(key(attribute, getattr(row, attribute)), row)
    return list(firsts.values())


def _matches(row: StoredSeries, wanted: SeriesFilter, every: list[StoredSeries]) -> bool:
    return (
        all(_meets(row, condition, every) for condition in wanted.conditions)
        and folded(wanted.text) in search_text(vars(row))
        and (wanted.received_from is None or wanted.received_from <= row.ReceivedAt)
        and (wanted.received_before is None or row.ReceivedAt < wanted.received_before)
    )


def _meets(row: StoredSeries, condition: Condition, every: list[StoredSeries]) -> bool:
    attribute = condition.attribute
    if attribute is Attribute.MODALITIES_IN_STUDY:
        values = [each.Modality for each in every if each.StudyInstanceUID == row.StudyInstanceUID]
    elif attribute is Attribute.SERIES_NUMBER and row.SeriesNumber is None:
        values = []
    else:
        values = [str(getattr(row, attribute))]
    return any(_value_meets(key(attribute, value), condition) for value in values)


def _value_meets(value: str, condition: Condition) -> bool:
    match condition:
        case OneOf(attribute, values):
            return value in [key(attribute, each) for each in values]
        case Wildcard(attribute, pattern):
            text = re.escape(key(attribute, pattern)).replace(r"\*", ".*").replace(r"\?", ".")
            return re.fullmatch(text, value, re.DOTALL) is not None
        case Between(_, first, last):
            return first <= value and (not last or value[: len(last)] <= last)
