"""The SQL that reads series and their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import literal, select, tuple_

from seriesgate.server.store import AcceptedReport, PagePosition, SeriesPage, StoredSeries
from seriesgate.server.tables import series_data, series_reports

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from seriesgate.server.store import SeriesFilter


def read_series(connection: Connection, series_instance_uid: str) -> StoredSeries | None:
    """Give one row, or None."""
    statement = select(series_data).where(series_data.c.SeriesInstanceUID == series_instance_uid)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else StoredSeries.model_construct(**row)


def read_page(
    connection: Connection, wanted: SeriesFilter, limit: int, after: PagePosition | None
) -> SeriesPage:
    """Give at most `limit` rows from `after` on, newest first."""
    columns = series_data.c
    statement = select(series_data).order_by(
        columns.ReceivedAt.desc(), columns.SeriesInstanceUID.desc()
    )
    for column, value in (
        (columns.StudyInstanceUID, wanted.study_instance_uid),
        (columns.PatientID, wanted.patient_id),
        (columns.Modality, wanted.modality),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(_before(after))
    # One row more than asked for tells whether there is another page.
    rows = connection.execute(statement.limit(limit + 1)).mappings().all()
    series = [StoredSeries.model_construct(**row) for row in rows[:limit]]
    following = None
    if len(rows) > limit:
        following = PagePosition(series[-1].ReceivedAt, series[-1].SeriesInstanceUID)
    return SeriesPage(series, following)


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


def _before(position: PagePosition) -> ColumnElement[bool]:
    columns = series_data.c
    return tuple_(columns.ReceivedAt, columns.SeriesInstanceUID) < tuple_(
        literal(position.received_at, columns.ReceivedAt.type),
        literal(position.series_instance_uid, columns.SeriesInstanceUID.type),
    )
