"""The SQL that reads series and their history."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from seriesgate.containment import Unit, contained
from seriesgate.series.report import Series
from seriesgate.server.registry.keys import key
from seriesgate.server.registry.query import Attribute, Level
from seriesgate.server.registry.store import (
    AcceptedReport,
    Change,
    DeletedSeries,
    Deletion,
    DeletionReason,
    MinuteCount,
    Outcome,
    PatientPage,
    PatientSummary,
    SeriesPage,
    StoredSeries,
    StudyPage,
    StudySummary,
    Totals,
    UnreadableChange,
)
from seriesgate.server.sql.database import TROUBLE
from seriesgate.server.sql.find import find_positions
from seriesgate.server.sql.search_bounds import DEFAULT_BOUNDS
from seriesgate.server.sql.tables import (
    minute_counts,
    series_changes,
    series_data,
    series_index,
    series_reports,
    server_totals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Column, Connection, Row, Select

    from seriesgate.server.registry.query import Order, SeriesFilter
    from seriesgate.server.registry.store import AnyChange, FoundChange, PagePosition
    from seriesgate.server.sql.search_bounds import SearchBounds


_CHANGES = series_changes.c
_OF_PATIENT = [series_data.c[name] for name in ("PatientID", "PatientName", "ReceivedAt")]
_OF_STUDY = [
    *_OF_PATIENT,
    *(
        series_data.c[name]
        for name in ("StudyInstanceUID", "StudyDate", "StudyDescription", "AccessionNumber")
    ),
]


def read_series(connection: Connection, series_instance_uid: str) -> StoredSeries | None:
    """Give one row, or None."""
    statement = select(series_data).where(series_data.c.SeriesInstanceUID == series_instance_uid)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else StoredSeries.model_construct(**row)


def read_page(
    connection: Connection,
    wanted: SeriesFilter,
    limit: int,
    after: PagePosition | None,
    order: Order,
    bounds: SearchBounds = DEFAULT_BOUNDS,
) -> SeriesPage:
    """Give a page of rows. See `SeriesStore.page`."""
    found, following = find_positions(connection, wanted, limit, after, order, bounds)
    return SeriesPage(_rows(connection, found), following)


def read_studies(
    connection: Connection,
    wanted: SeriesFilter,
    limit: int,
    after: PagePosition | None,
    bounds: SearchBounds = DEFAULT_BOUNDS,
) -> StudyPage:
    """Give a page of studies. See `SeriesStore.studies`."""
    wanted = replace(wanted, level=Level.STUDY)
    found, following = find_positions(connection, wanted, limit, after, bounds=bounds)
    rows = _parts(connection, found, _OF_STUDY)
    columns = series_index.c
    sums = (
        select(
            columns.StudyInstanceUID,
            columns.ModalityKey,
            func.count().label("series"),
            func.sum(columns.InstancesInSeries).label("instances"),
        )
        .where(columns.StudyInstanceUID.in_([row.StudyInstanceUID for row in rows]))
        .group_by(columns.StudyInstanceUID, columns.ModalityKey)
    )
    of_study: dict[str, list[Row[Any]]] = defaultdict(list)
    for each in connection.execute(sums):
        of_study[each.StudyInstanceUID].append(each)
    return StudyPage([_study(row, of_study[row.StudyInstanceUID]) for row in rows], following)


def read_patients(
    connection: Connection,
    wanted: SeriesFilter,
    limit: int,
    after: PagePosition | None,
    bounds: SearchBounds = DEFAULT_BOUNDS,
) -> PatientPage:
    """Give a page of patients. See `SeriesStore.patients`."""
    wanted = replace(wanted, level=Level.PATIENT)
    found, following = find_positions(connection, wanted, limit, after, bounds=bounds)
    rows = _parts(connection, found, _OF_PATIENT)
    columns = series_index.c
    keys = [key(Attribute.PATIENT_ID, row.PatientID) for row in rows]
    sums = (
        select(
            columns.PatientKey,
            func.count(columns.FirstOfStudy).label("studies"),
            func.count().label("series"),
            func.sum(columns.InstancesInSeries).label("instances"),
        )
        .where(columns.PatientKey.in_(keys))
        .group_by(columns.PatientKey)
    )
    of_patient = {each.PatientKey: each for each in connection.execute(sums)}
    return PatientPage(
        [
            PatientSummary(
                PatientID=row.PatientID,
                PatientName=row.PatientName,
                NumberOfPatientRelatedStudies=of_patient[patient].studies,
                NumberOfPatientRelatedSeries=of_patient[patient].series,
                NumberOfPatientRelatedInstances=of_patient[patient].instances,
                ReceivedAt=row.ReceivedAt,
            )
            for patient, row in zip(keys, rows, strict=True)
        ],
        following,
    )


def read_totals(connection: Connection) -> Totals:
    """Give what is stored in all."""
    return Totals(**connection.execute(select(server_totals)).mappings().one())


def read_minutes(connection: Connection, since: datetime, before: datetime) -> list[MinuteCount]:
    """Give the counts of the minutes from `since` on that start before `before`."""
    minute = minute_counts.c.Minute
    statement = select(minute_counts).where(minute >= since, minute < before).order_by(minute)
    return [MinuteCount(**row) for row in connection.execute(statement).mappings()]


def read_latest_change(connection: Connection) -> int:
    """Give the number of the latest change, 0 when there was none."""
    number: int = connection.execute(select(server_totals.c.Sequence)).scalar_one()
    return number


def read_forgotten_changes(connection: Connection) -> int:
    """Give the number of the latest change that may be forgotten, 0 when none is."""
    number: int = connection.execute(select(server_totals.c.Forgotten)).scalar_one()
    return number


def read_changes(connection: Connection, after: int, limit: int) -> list[FoundChange]:
    """Give the first `limit` changes over the number `after`; one that can't be read as such."""
    statement = (
        select(series_changes)
        .where(_CHANGES.Sequence > after)
        .order_by(_CHANGES.Sequence)
        .limit(limit)
    )
    unit = Unit()
    with contained(unit, TROUBLE):
        return [*_read_changes(connection, statement)]
    numbers = (
        select(_CHANGES.Sequence)
        .where(_CHANGES.Sequence > after)
        .order_by(_CHANGES.Sequence)
        .limit(limit)
    )
    found: list[FoundChange] = []
    for number in connection.scalars(numbers).all():
        one = Unit()
        with contained(one, TROUBLE):
            found += _read_changes(
                connection, select(series_changes).where(_CHANGES.Sequence == number)
            )
        if one.failure:
            found.append(UnreadableChange(number, one.failure))
    return found


def _read_changes(connection: Connection, statement: Select[Any]) -> list[AnyChange]:
    """Give the changes that a query finds.

    Three queries that each go along a primary key: for one that joins the tables, PostgreSQL may
    choose to read these as a whole.
    """
    changes = connection.execute(statement).all()
    if not changes:
        return []
    uids = {change.SeriesInstanceUID for change in changes if change.Digest}
    of_rows = series_data.c
    arrivals = select(of_rows.SeriesInstanceUID, of_rows.ReceivedAt, of_rows.HasPreview).where(
        of_rows.SeriesInstanceUID.in_(uids)
    )
    reports = select(
        series_reports.c.SeriesInstanceUID, series_reports.c.Digest, series_reports.c.Report
    ).where(
        series_reports.c.SeriesInstanceUID.in_(uids),
        series_reports.c.Digest.in_({change.Digest for change in changes}),
    )
    rows = {row.SeriesInstanceUID: row for row in connection.execute(arrivals)}
    texts = {(row.SeriesInstanceUID, row.Digest): row.Report for row in connection.execute(reports)}
    found = (
        _change(
            change,
            rows.get(change.SeriesInstanceUID),
            texts.get((change.SeriesInstanceUID, change.Digest)),
        )
        for change in changes
    )
    return [change for change in found if change is not None]


def _change(change: Row[Any], arrival: Any, report: str | None) -> AnyChange | None:
    """Give a change; None if its series was deleted between the queries that read it."""
    if not change.Digest:
        deleted = DeletedSeries(
            SeriesInstanceUID=change.SeriesInstanceUID,
            DeletedAt=change.ChangedAt,
            Reason=DeletionReason(change.Outcome),
        )
        return Deletion(change.Sequence, deleted)
    if arrival is None or report is None:
        return None
    row = StoredSeries.model_construct(
        **vars(Series.model_validate_json(report)),
        ReceivedAt=arrival.ReceivedAt,
        UpdatedAt=change.ChangedAt,
        HasPreview=arrival.HasPreview,
    )
    return Change(change.Sequence, Outcome(change.Outcome), row)


def read_history(
    connection: Connection, series_instance_uid: str, limit: int
) -> list[AcceptedReport]:
    """Give the latest `limit` reports of a series, newest first."""
    columns = series_reports.c
    statement = (
        select(series_reports)
        .where(columns.SeriesInstanceUID == series_instance_uid)
        .order_by(columns.ReceivedAt.desc(), columns.Digest.desc())
        .limit(limit)
    )
    return [
        AcceptedReport(row.Report, row.ReceivedAt, row.IdempotencyKey)
        for row in connection.execute(statement)
    ]


def _rows(connection: Connection, positions: Sequence[PagePosition]) -> list[StoredSeries]:
    uids = [position.series_instance_uid for position in positions]
    statement = select(series_data).where(series_data.c.SeriesInstanceUID.in_(uids))
    rows = connection.execute(statement).mappings()
    found = {row["SeriesInstanceUID"]: StoredSeries.model_construct(**row) for row in rows}
    return [found[uid] for uid in uids]


def _parts(
    connection: Connection, positions: Sequence[PagePosition], columns: Sequence[Column[Any]]
) -> list[Row[Any]]:
    """Give some columns of rows: a row as a whole costs several times as much."""
    uid = series_data.c.SeriesInstanceUID
    uids = [position.series_instance_uid for position in positions]
    found = {row[0]: row for row in connection.execute(select(uid, *columns).where(uid.in_(uids)))}
    return [found[each] for each in uids]


def _study(row: Row[Any], sums: Sequence[Row[Any]]) -> StudySummary:
    return StudySummary(
        StudyInstanceUID=row.StudyInstanceUID,
        PatientID=row.PatientID,
        PatientName=row.PatientName,
        StudyDate=row.StudyDate,
        StudyDescription=row.StudyDescription,
        AccessionNumber=row.AccessionNumber,
        ModalitiesInStudy=sorted(each.ModalityKey for each in sums if each.ModalityKey),
        NumberOfStudyRelatedSeries=sum(each.series for each in sums),
        NumberOfStudyRelatedInstances=sum(each.instances for each in sums),
        ReceivedAt=row.ReceivedAt,
    )
