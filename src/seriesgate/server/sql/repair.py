"""The SQL that makes the row of a series anew, without reports that are not true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, update

from seriesgate.series.report import Series
from seriesgate.server.registry.merge import repaired
from seriesgate.server.registry.store import Outcome
from seriesgate.server.sql.read import read_series
from seriesgate.server.sql.record import RowChange, lock_totals, record_changes
from seriesgate.server.sql.tables import series_data, series_reports

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from seriesgate.server.registry.store import Registration

_WITHDRAWN = "withdrawn"


def repair(
    connection: Connection, series_instance_uid: str, at_most: int | None, now: datetime
) -> Registration | None:
    """Repair a series; None if it is not known. Raises NoOtherReport. See `SeriesStore.repair`."""
    totals = lock_totals(connection)
    before = read_series(connection, series_instance_uid)
    if before is None:
        return None
    columns = series_reports.c
    of_series = columns.SeriesInstanceUID == series_instance_uid
    statement = select(columns.Digest, columns.Report).where(
        of_series, columns.WithdrawnAt.is_(None)
    )
    reports = {row.Digest: row.Report for row in connection.execute(statement)}
    parsed = {digest: Series.model_validate_json(text) for digest, text in reports.items()}
    done = repaired(before, parsed, at_most, now)
    if done.withdrawn:
        withdraw = update(series_reports).where(of_series, columns.Digest == bindparam(_WITHDRAWN))
        marks = [{_WITHDRAWN: digest} for digest in done.withdrawn]
        connection.execute(withdraw.values(WithdrawnAt=now), marks)
    if done.registration.outcome is Outcome.UPDATED:
        row = update(series_data).where(series_data.c.SeriesInstanceUID == series_instance_uid)
        connection.execute(row.values(vars(done.registration.series)))
        record_changes(connection, totals, [RowChange(before, done.registration, done.digest)])
    return done.registration
