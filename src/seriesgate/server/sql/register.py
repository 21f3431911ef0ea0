"""The SQL that registers a group of reports, in the transaction it is given."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from seriesgate.server.registry.merge import canonical_json, merge
from seriesgate.server.registry.store import (
    Outcome,
    Registration,
    SeriesContradiction,
    SeriesWasDeleted,
    StoredSeries,
)
from seriesgate.server.sql.deletion import deleted_among
from seriesgate.server.sql.prepared import Prepared, PreparedLookup
from seriesgate.server.sql.record import RowChange, lock_totals, record_changes
from seriesgate.server.sql.tables import series_data, series_reports

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from seriesgate.series.report import Series

_KEY = "of_series"
# Built once: SQLAlchemy keeps the SQL text of a statement with the object.
_SELECT_ROWS = (
    select(series_data)
    .where(series_data.c.SeriesInstanceUID.in_(bindparam("series", expanding=True)))
    # In one order for all processes, so that no two of them wait for each other's rows.
    .order_by(series_data.c.SeriesInstanceUID)
    .with_for_update()
)
_SELECT_DIGESTS = select(series_reports.c.Digest, series_reports.c.WithdrawnAt).where(
    series_reports.c.SeriesInstanceUID.in_(bindparam("series", expanding=True)),
    series_reports.c.Digest.in_(bindparam("digests", expanding=True)),
)
_KNOWN_SERIES = PreparedLookup(series_data.c.SeriesInstanceUID)
_INSERT_ROW = Prepared(insert(series_data), series_data.columns.keys())
_UPDATE_ROW = update(series_data).where(series_data.c.SeriesInstanceUID == bindparam(_KEY))
_INSERT_REPORT = Prepared(insert(series_reports), series_reports.columns.keys())


@dataclass(frozen=True, slots=True)
class PostedReport:
    """A report on its way to the database."""

    report: Series
    idempotency_key: str | None
    received_at: datetime


def register_group(
    connection: Connection, group: Sequence[PostedReport]
) -> list[Registration | SeriesContradiction | SeriesWasDeleted]:
    """Register reports in their order; give the answer to each.

    Reads the rows that are known, decides in Python, writes what changed: a handful of statements
    whatever the size of the group, and none that only one database understands. Processes that
    share a database take turns, from the first statement until the commit (see `lock_totals`).
    """
    totals = lock_totals(connection)
    uids = {posted.report.SeriesInstanceUID for posted in group}
    known = _rows(connection, uids)
    deleted = deleted_among(connection, totals, uids - known.keys())
    rows = dict(known)
    history = [_history_entry(posted) for posted in group]
    kept = _kept_reports(connection, known, history)
    entries: dict[str, dict[str, Any]] = {}
    changes: list[RowChange] = []
    answers: list[Registration | SeriesContradiction | SeriesWasDeleted] = []
    for posted, entry in zip(group, history, strict=True):
        series_instance_uid = posted.report.SeriesInstanceUID
        if series_instance_uid in deleted:
            answers.append(SeriesWasDeleted())
            continue
        before = rows.get(series_instance_uid)
        if before is not None and kept.get(entry["Digest"]) is not None:  # it was withdrawn
            answers.append(Registration(before, Outcome.UNCHANGED))
            continue
        try:
            registration = merge(before, posted.report, posted.received_at)
        except SeriesContradiction as contradiction:
            answers.append(contradiction)
            continue
        answers.append(registration)
        if entry["Digest"] not in kept:
            entries.setdefault(entry["Digest"], entry)
        if registration.outcome is not Outcome.UNCHANGED:
            rows[series_instance_uid] = registration.series
            changes.append(RowChange(before, registration, entry["Digest"]))
    _write_rows(connection, known, rows)
    if entries:
        _INSERT_REPORT.run(connection, *(entries[digest] for digest in sorted(entries)))
    record_changes(connection, totals, changes)
    return answers


def _rows(connection: Connection, uids: Collection[str]) -> dict[str, StoredSeries]:
    known = _KNOWN_SERIES.among(connection, uids)
    if not known:
        return {}
    result = connection.execute(_SELECT_ROWS, {"series": list(known)})
    rows = (StoredSeries.model_construct(**row) for row in result.mappings())
    return {row.SeriesInstanceUID: row for row in rows}


def _write_rows(
    connection: Connection, known: dict[str, StoredSeries], rows: dict[str, StoredSeries]
) -> None:
    new = [vars(rows[uid]) for uid in sorted(rows.keys() - known.keys())]
    changed = [vars(rows[uid]) | {_KEY: uid} for uid in sorted(known) if rows[uid] != known[uid]]
    if new:
        _INSERT_ROW.run(connection, *new)
    if changed:
        connection.execute(_UPDATE_ROW, changed)


def _history_entry(posted: PostedReport) -> dict[str, Any]:
    text = canonical_json(posted.report)
    return {
        "Digest": sha256(text.encode()).hexdigest(),
        "SeriesInstanceUID": posted.report.SeriesInstanceUID,
        "ReceivedAt": posted.received_at,
        "IdempotencyKey": posted.idempotency_key,
        "Report": text,
        "WithdrawnAt": None,
    }


def _kept_reports(
    connection: Connection, known: Collection[str], history: Sequence[dict[str, Any]]
) -> dict[str, datetime | None]:
    """Give which of the reports are in the history, by their digests, and when withdrawn."""
    if not known:  # a series without a row has no history either
        return {}
    digests = [entry["Digest"] for entry in history]
    found = connection.execute(_SELECT_DIGESTS, {"series": list(known), "digests": digests})
    return {row.Digest: row.WithdrawnAt for row in found}
