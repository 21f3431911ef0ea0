"""The SQL that keeps the index, the changes and the totals in step with the rows of series.

Decided in ADR 22.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, text, update

from seriesgate.server.registry.keys import indexed_text, key, search_text
from seriesgate.server.registry.query import Attribute
from seriesgate.server.sql.firsts import move_firsts
from seriesgate.server.sql.prepared import Prepared, PreparedLookup
from seriesgate.server.sql.tables import (
    minute_counts,
    series_changes,
    series_index,
    server_totals,
)
from seriesgate.server.sql.text_index import add_texts, replace_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from seriesgate.server.registry.store import Registration, StoredSeries

_AT, _OF = "at", "of_series"
_LOCK_TOTALS = Prepared(select(server_totals).with_for_update())
_UPDATE_TOTALS = Prepared(
    update(server_totals), ("Sequence", "Patients", "Studies", "Series", "Instances", "Numbers")
)
_INSERT_CHANGE = Prepared(insert(series_changes), series_changes.columns.keys())
_INSERT_INDEX = Prepared(insert(series_index), series_index.columns.keys())
_UPDATE_INDEX = update(series_index).where(
    series_index.c.ReceivedAt == bindparam(_AT), series_index.c.SeriesInstanceUID == bindparam(_OF)
)
_NUMBER = select(series_index.c.Number).where(
    series_index.c.ReceivedAt == bindparam(_AT), series_index.c.SeriesInstanceUID == bindparam(_OF)
)
_KNOWN_STUDIES = PreparedLookup(series_index.c.FirstOfStudy)
_KNOWN_PATIENTS = PreparedLookup(series_index.c.FirstOfPatient)
# The same in both dialects.
_COUNT_MINUTE = Prepared(
    text(
        """INSERT INTO minute_counts ("Minute", "Series", "Instances")
        VALUES (:Minute, :Series, :Instances) ON CONFLICT ("Minute") DO UPDATE SET
        "Series" = minute_counts."Series" + excluded."Series",
        "Instances" = minute_counts."Instances" + excluded."Instances\""""
    ).bindparams(bindparam("Minute", type_=minute_counts.c.Minute.type))
)


@dataclass(frozen=True, slots=True)
class RowChange:
    """A report became the row of its series. `digest` names it in the history."""

    before: StoredSeries | None
    registration: Registration
    digest: str

    @property
    def row(self) -> StoredSeries:
        """The row after the change."""
        return self.registration.series

    @property
    def added_instances(self) -> int:
        """By how much the count of the series has grown."""
        return self.row.InstancesInSeries - (self.before.InstancesInSeries if self.before else 0)


def lock_totals(connection: Connection) -> dict[str, Any]:
    """Give the totals, by their names, and keep every other writer out until the transaction ends.

    So the numbers of changes are in the order of the commits: whoever has read change n has seen,
    or can see, each one before it. Taken before any other lock, it can't be part of a deadlock.
    """
    (totals,) = _LOCK_TOTALS.fetch(connection, {})
    return dict(zip(server_totals.columns.keys(), totals, strict=True))


def index_row(row: StoredSeries) -> dict[str, Any]:
    """Give the entry of a row in the index, but for whether it is the first of its kind."""
    return {
        "ReceivedAt": row.ReceivedAt,
        "SeriesInstanceUID": row.SeriesInstanceUID,
        "StudyInstanceUID": row.StudyInstanceUID,
        "PatientKey": key(Attribute.PATIENT_ID, row.PatientID),
        "NameKey": key(Attribute.PATIENT_NAME, row.PatientName),
        "AccessionKey": key(Attribute.ACCESSION_NUMBER, row.AccessionNumber),
        "StudyDateKey": key(Attribute.STUDY_DATE, row.StudyDate),
        "GatewayKey": key(Attribute.GATEWAY, row.Gateway),
        "ModalityKey": key(Attribute.MODALITY, row.Modality),
        "InstancesInSeries": row.InstancesInSeries,
        "SearchText": search_text(vars(row)),
    }


def record_changes(
    connection: Connection, totals: Mapping[str, Any], changes: Sequence[RowChange]
) -> None:
    """Record the changes of one transaction, in their order. `totals` are as `lock_totals` gave."""
    if not changes:
        return
    new = [change.row for change in changes if change.before is None]
    studies, patients = _write_index(connection, totals["Numbers"], new, changes)
    _write_changes(connection, totals["Sequence"], changes)
    _UPDATE_TOTALS.run(
        connection,
        {
            "Sequence": totals["Sequence"] + len(changes),
            "Patients": totals["Patients"] + patients,
            "Studies": totals["Studies"] + studies,
            "Series": totals["Series"] + len(new),
            "Instances": totals["Instances"] + sum(each.added_instances for each in changes),
            "Numbers": totals["Numbers"] + len(new),
        },
    )
    _count_minutes(connection, changes)


def mark_firsts(
    rows: Iterable[dict[str, Any]], known_studies: set[str], known_patients: set[str]
) -> None:
    """Mark the rows of the index, in order of arrival, that are the first of a study or patient.

    What is marked is added to what is known.
    """
    for row in rows:
        for column, value, known in (
            ("FirstOfStudy", row["StudyInstanceUID"], known_studies),
            ("FirstOfPatient", row["PatientKey"], known_patients),
        ):
            row[column] = None if value in known else value
            known.add(value)


def _write_index(
    connection: Connection,
    last_number: int,
    new: Sequence[StoredSeries],
    changes: Sequence[RowChange],
) -> tuple[int, int]:
    """Enter the rows, numbered after `last_number`; give how many studies and patients are new."""
    rows = {change.row.SeriesInstanceUID: change.row for change in changes}
    latest = {uid: index_row(row) for uid, row in rows.items()}
    new_rows = [latest.pop(row.SeriesInstanceUID) for row in new]
    studies = patients = 0
    if new_rows:
        known_studies = _KNOWN_STUDIES.among(
            connection, {row["StudyInstanceUID"] for row in new_rows}
        )
        known_patients = _KNOWN_PATIENTS.among(connection, {row["PatientKey"] for row in new_rows})
        before = len(known_studies), len(known_patients)
        mark_firsts(new_rows, known_studies, known_patients)
        studies, patients = len(known_studies) - before[0], len(known_patients) - before[1]
        for number, row in enumerate(new_rows, last_number + 1):
            row["Number"] = number
        _INSERT_INDEX.run(connection, *new_rows)
        texts = {each["Number"]: rows[each["SeriesInstanceUID"]] for each in new_rows}
        add_texts(connection, {number: indexed_text(vars(row)) for number, row in texts.items()})
    if latest:
        _replace_texts(connection, changes, {uid: rows[uid] for uid in latest})
        keys = (
            (row, row.pop("ReceivedAt"), row.pop("SeriesInstanceUID")) for row in latest.values()
        )
        connection.execute(_UPDATE_INDEX, [row | {_AT: at, _OF: uid} for row, at, uid in keys])
        corrected = move_firsts(connection, _corrected(changes, latest.keys()))
        studies, patients = studies + corrected.studies, patients + corrected.patients
    return studies, patients


def _corrected(
    changes: Sequence[RowChange], known: Collection[str]
) -> list[tuple[StoredSeries, StoredSeries]]:
    """Give the rows of known series that are of another study or patient now, before and after."""
    return [
        (change.before, change.row)
        for change in changes
        if change.before is not None
        and change.row.SeriesInstanceUID in known
        and (
            change.before.StudyInstanceUID != change.row.StudyInstanceUID
            or change.before.PatientID != change.row.PatientID
        )
    ]


def _replace_texts(
    connection: Connection, changes: Sequence[RowChange], rows: Mapping[str, StoredSeries]
) -> None:
    """Enter the texts of known series that say something else now."""
    before: dict[str, StoredSeries] = {}
    for change in changes:
        if change.before is not None and change.row.SeriesInstanceUID in rows:
            before.setdefault(change.row.SeriesInstanceUID, change.before)
    for uid, row in rows.items():
        texts = indexed_text(vars(before[uid])), indexed_text(vars(row))
        if texts[0] != texts[1]:
            position = {_AT: row.ReceivedAt, _OF: uid}
            number = connection.execute(_NUMBER, position).scalar_one()
            replace_text(connection, number, *texts)


def _write_changes(connection: Connection, sequence: int, changes: Sequence[RowChange]) -> None:
    entries = [
        {
            "Sequence": number,
            "SeriesInstanceUID": change.row.SeriesInstanceUID,
            "Digest": change.digest,
            "Outcome": change.registration.outcome.value,
            "ChangedAt": change.row.UpdatedAt,
        }
        for number, change in enumerate(changes, sequence + 1)
    ]
    _INSERT_CHANGE.run(connection, *entries)


def _count_minutes(connection: Connection, changes: Sequence[RowChange]) -> None:
    series: Counter[datetime] = Counter()
    instances: Counter[datetime] = Counter()
    for change in changes:
        minute = change.row.UpdatedAt.replace(second=0, microsecond=0)
        series[minute] += change.before is None
        instances[minute] += max(0, change.added_instances)  # a repair takes away what never came
    counts = (
        {"Minute": minute, "Series": series[minute], "Instances": instances[minute]}
        for minute in sorted(instances)
    )
    _COUNT_MINUTE.run(connection, *counts)
