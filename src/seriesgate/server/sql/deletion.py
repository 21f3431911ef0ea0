"""The SQL that deletes series with all that is kept of them, a bounded piece of it at a time.

What stays of a series is its UID in the change that tells of the deletion, until that is forgotten
(see `sql.forget`), and a keyed digest of the UID, so that a late report does not bring it back.

Decided in ADR 57.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import bindparam, delete, insert, literal, select, tuple_, update

from seriesgate.server.registry.keys import indexed_text, key, same_text
from seriesgate.server.registry.query import Attribute
from seriesgate.server.registry.store import DeletionReason, StoredSeries
from seriesgate.server.sql.firsts import mark_anew
from seriesgate.server.sql.prepared import PreparedLookup
from seriesgate.server.sql.record import lock_totals
from seriesgate.server.sql.sqlite_upkeep import note_erasure
from seriesgate.server.sql.tables import (
    deleted_series,
    series_changes,
    series_data,
    series_index,
    series_previews,
    series_reports,
    server_totals,
    webhook_deliveries,
    webhook_positions,
)
from seriesgate.server.sql.text_index import remove_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

BATCH = 100
"""How many series one transaction looks at, and deletes at most."""

_INDEX = series_index.c
_ARRIVAL = (_INDEX.ReceivedAt, _INDEX.SeriesInstanceUID)
_AT, _OF = "at", "of_series"
_IS_ENTRY = (_INDEX.ReceivedAt == bindparam(_AT)) & (_INDEX.SeriesInstanceUID == bindparam(_OF))
_DELETED = PreparedLookup(deleted_series.c.Digest)
# The row first: whoever writes a picture has it locked (see `sql.previews`).
_OF_A_SERIES = (series_data, series_previews, series_reports, series_changes)


def deleted_among(
    connection: Connection, totals: Mapping[str, Any], uids: Collection[str]
) -> set[str]:
    """Return those of some series that were deleted and are not to come back."""
    if not uids:
        return set()
    digests = {_digest(totals, uid): uid for uid in uids}
    return {digests[digest] for digest in _DELETED.among(connection, digests)}


def delete_series(
    connection: Connection, series_instance_uid: str, now: datetime, may_return: bool
) -> bool:
    """Delete one series, if it is there. See `SeriesStore.delete_series`."""
    totals = lock_totals(connection)
    rows = _rows(connection, [series_instance_uid])
    _delete(connection, totals, rows, DeletionReason.DELETED, now)
    if not may_return:
        _keep_out(connection, totals, rows, now)
        return bool(rows)
    mark = deleted_series.c.Digest == _digest(totals, series_instance_uid)
    return bool(connection.execute(delete(deleted_series).where(mark)).rowcount or rows)


class Deleting:
    """Deletes the series that `found` finds in the index and that are `wanted`, piece by piece.

    `deleted` is how many it has deleted so far.
    """

    def __init__(
        self,
        found: ColumnElement[bool],
        wanted: Callable[[StoredSeries], bool],
        reason: DeletionReason,
        now: datetime,
        *,
        may_return: bool,
    ) -> None:
        self.deleted = 0
        self._found = found
        self._wanted = wanted
        self._reason = reason
        self._now = now
        self._may_return = may_return
        self._position: tuple[Any, ...] | None = None

    @classmethod
    def of_patient(cls, patient_id: str, now: datetime, *, may_return: bool) -> Self:
        """Make what deletes the series of a patient."""
        # A key is cut, and two long PatientIDs may have the same one.
        return cls(
            _INDEX.PatientKey == key(Attribute.PATIENT_ID, patient_id),
            lambda row: same_text(row.PatientID, patient_id),
            DeletionReason.DELETED,
            now,
            may_return=may_return,
        )

    @classmethod
    def of_age(cls, before: datetime, now: datetime) -> Self:
        """Make what deletes the series whose latest report that changed them came before a time.

        They may return: one that is sent again after so long is as good as new.
        """
        return cls(
            _INDEX.ReceivedAt < before,
            lambda row: row.UpdatedAt < before,
            DeletionReason.EXPIRED,
            now,
            may_return=True,
        )

    def step(self, connection: Connection, most: int = BATCH) -> bool:
        """Look at `most` more series and delete those wanted; return whether there may be more."""
        totals = lock_totals(connection)
        entries = self._next(connection, most)
        if not entries:
            return False
        rows = _rows(connection, [entry.SeriesInstanceUID for entry in entries])
        rows = [row for row in rows if self._wanted(row)]
        _delete(connection, totals, rows, self._reason, self._now)
        if not self._may_return:
            _keep_out(connection, totals, rows, self._now)
        self._position = tuple(entries[-1])
        self.deleted += len(rows)
        return len(entries) == most

    def skip(self, connection: Connection) -> bool:
        """Leave the next series where it is; return False if there is none."""
        entries = self._next(connection, 1)
        for entry in entries:
            self._position = tuple(entry)
        return bool(entries)

    def _next(self, connection: Connection, most: int) -> Sequence[Any]:
        statement = select(*_ARRIVAL).where(self._found).order_by(*_ARRIVAL).limit(most)
        if self._position is not None:
            position = (literal(v, c.type) for v, c in zip(self._position, _ARRIVAL, strict=True))
            statement = statement.where(tuple_(*_ARRIVAL) > tuple_(*position))
        return connection.execute(statement).all()


def _digest(totals: Mapping[str, Any], series_instance_uid: str) -> str:
    return hmac.digest(
        bytes.fromhex(totals["DigestKey"]), series_instance_uid.encode(), sha256
    ).hex()


def _rows(connection: Connection, uids: Sequence[str]) -> list[StoredSeries]:
    statement = (
        select(series_data)
        .where(series_data.c.SeriesInstanceUID.in_(uids))
        .order_by(series_data.c.SeriesInstanceUID)
        .with_for_update()
    )
    rows = connection.execute(statement).mappings()
    return [StoredSeries.model_construct(**row) for row in rows]


def _keep_out(
    connection: Connection,
    totals: Mapping[str, Any],
    rows: Sequence[StoredSeries],
    now: datetime,
) -> None:
    marks = [{"Digest": _digest(totals, row.SeriesInstanceUID), "DeletedAt": now} for row in rows]
    if marks:  # none of them is there yet: a series with a row is none that was deleted
        connection.execute(insert(deleted_series), marks)


def _delete(
    connection: Connection,
    totals: Mapping[str, Any],
    rows: Sequence[StoredSeries],
    reason: DeletionReason,
    now: datetime,
) -> None:
    """Delete rows and all that is kept of their series, and tell of it as changes."""
    if not rows:
        return
    uids = [row.SeriesInstanceUID for row in rows]
    # Whoever gives a webhook its changes has its position locked: it must not be given these.
    webhooks = connection.scalars(select(webhook_positions.c.Webhook).with_for_update()).all()
    for table in _OF_A_SERIES:
        connection.execute(delete(table).where(table.c.SeriesInstanceUID.in_(uids)))
    owed = webhook_deliveries.c
    connection.execute(
        delete(webhook_deliveries).where(
            owed.Webhook.in_(webhooks), owed.SeriesInstanceUID.in_(uids)
        )
    )
    studies, patients = _leave_index(connection, rows)
    first = totals["Sequence"] + 1
    changes = [
        {"Sequence": sequence, "SeriesInstanceUID": uid, "Digest": "", "Outcome": reason.value}
        | {"ChangedAt": now}
        for sequence, uid in enumerate(uids, first)
    ]
    connection.execute(insert(series_changes), changes)
    columns = server_totals.c
    connection.execute(
        update(server_totals).values(
            Sequence=columns.Sequence + len(rows),
            Patients=columns.Patients - patients,
            Studies=columns.Studies - studies,
            Series=columns.Series - len(rows),
            Instances=columns.Instances - sum(row.InstancesInSeries for row in rows),
        )
    )
    note_erasure(connection)


def _leave_index(connection: Connection, rows: Sequence[StoredSeries]) -> tuple[int, int]:
    """Remove rows from the index; return how many studies and patients have no series any more."""
    texts: dict[int, str] = {}
    studies: list[str] = []
    patients: list[str] = []
    one = select(_INDEX.Number, _INDEX.FirstOfStudy, _INDEX.FirstOfPatient).where(_IS_ENTRY)
    entries = [{_AT: row.ReceivedAt, _OF: row.SeriesInstanceUID} for row in rows]
    for row, entry in zip(rows, entries, strict=True):
        number, study, patient = connection.execute(one, entry).one()
        texts[number] = indexed_text(vars(row))
        studies += [] if study is None else [study]
        patients += [] if patient is None else [patient]
    remove_texts(connection, texts)
    connection.execute(delete(series_index).where(_IS_ENTRY), entries)
    # A mark went with each of these; those that others bear now are back.
    left_studies = mark_anew(connection, _INDEX.StudyInstanceUID, _INDEX.FirstOfStudy, studies)
    left_patients = mark_anew(connection, _INDEX.PatientKey, _INDEX.FirstOfPatient, patients)
    return len(studies) - left_studies, len(patients) - left_patients
