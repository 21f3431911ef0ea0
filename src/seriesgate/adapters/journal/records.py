"""How revisions, deliveries and their outcomes are written to the journal's tables, and read."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from seriesgate.gateway.senders import SenderStatistics
from seriesgate.series.delivery import Delivery, DeliveryState
from seriesgate.series.description import SeriesDescription
from seriesgate.series.model import InstanceCopy, InstanceSummary
from seriesgate.series.report import Series
from seriesgate.series.revision import SeriesRevision

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from seriesgate.gateway.ports import Outcome

_STATISTICS = TypeAdapter(SenderStatistics)


def write_revision(
    connection: sqlite3.Connection, revision: SeriesRevision, delivery: Delivery
) -> None:
    """Write a revision, what it adds, and its delivery."""
    series_id = _write_series(connection, revision)
    connection.executemany(
        "INSERT INTO copy VALUES (?, ?, ?, ?, ?, ?, ?)", _copy_rows(series_id, revision)
    )
    added = len(revision.added_instances)
    report = delivery.report.model_dump_json(exclude_none=True)
    connection.execute(
        "INSERT INTO delivery (delivery_id, series_id, revision, added_instances, report, state,"
        " attempt, reason, is_released, seal) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, ?)",
        (
            delivery.delivery_id,
            series_id,
            revision.revision,
            added,
            report,
            DeliveryState.PENDING,
            delivery.attempt,
            _seal(delivery.delivery_id, report),
        ),
    )
    add_to_total(connection, "closed", added)


def write_outcome(connection: sqlite3.Connection, outcome: Outcome, at: datetime) -> None:
    """Write down what became of one attempt."""
    delivery_id, now = outcome.delivery.delivery_id, at.timestamp()
    if outcome.failure is None:
        connection.execute(
            "UPDATE delivery SET state = ?, reason = '', settled_at = ?, died_at = NULL"
            " WHERE delivery_id = ?",
            (DeliveryState.DELIVERED, now, delivery_id),
        )
        return
    state = DeliveryState.DEAD if outcome.is_final else DeliveryState.PENDING
    connection.execute(
        "UPDATE delivery SET state = ?, attempt = attempt + 1, reason = ?, died_at = ?"
        " WHERE delivery_id = ?",
        (state, outcome.failure.reason, now if outcome.is_final else None, delivery_id),
    )


def add_to_total(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Add to a running total."""
    connection.execute(
        "INSERT INTO total VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, value),
    )


def read_delivery(delivery_id: str, report: str, attempt: int, seal: bytes) -> Delivery:
    """Return the delivery in a row of `delivery`. Raises ValueError when it is damaged."""
    if seal and seal != _seal(delivery_id, report):
        raise ValueError("a delivery is not what was written")
    return Delivery(delivery_id, Series.model_validate_json(report), attempt)


def read_revision(uid: str, row: Sequence[Any], copies: Sequence[Sequence[Any]]) -> SeriesRevision:
    """Return the revision in a row of `series` and its rows of `copy`.

    Raises ValueError when it is damaged.
    """
    study, patient_id, calling, number, inconsistent, damaged, first, last, closed, text, seal = row
    newest = [copy for copy in copies if copy[5] == number]
    revision = SeriesRevision(
        series_instance_uid=uid,
        study_instance_uid=study,
        patient_id=patient_id,
        revision=number,
        calling_ae_title=calling,
        instances={
            sop: InstanceSummary(size, instance_number, digest)
            for sop, digest, is_conflict, size, instance_number, _ in copies
            if not is_conflict
        },
        conflicting_copies=_conflicts(copies),
        inconsistent_attributes=frozenset(json.loads(inconsistent)),
        added_instances=frozenset(copy[0] for copy in newest if not copy[2]),
        added_conflicts=_conflicts(newest),
        damaged_instances=frozenset(json.loads(damaged)),
        first_instance_at=datetime.fromisoformat(first),
        last_instance_at=datetime.fromisoformat(last),
        closed_at=datetime.fromisoformat(closed),
        description=_read_description(text),
    )
    if seal and seal != _seal_of(revision):
        raise ValueError("a series is not what was written")
    return revision


def write_senders(
    connection: sqlite3.Connection, senders: Sequence[SenderStatistics], quiet_period: float
) -> None:
    """Write what was seen of each sender, instead of what was written before."""
    connection.execute("DELETE FROM sender")
    connection.executemany(
        "INSERT INTO sender VALUES (?, ?, ?)",
        (
            (place, _STATISTICS.dump_json(sender).decode(), quiet_period)
            for place, sender in enumerate(senders)
        ),
    )


def read_senders(connection: sqlite3.Connection) -> tuple[list[SenderStatistics], float | None]:
    """Return what was written of senders, and the quiet period that it was seen at.

    What is damaged is left out: it is no reason to put the journal away.
    """
    senders: list[SenderStatistics] = []
    quiet_period = None
    for text, quiet_period in connection.execute(  # noqa: B007 - the same in each row
        "SELECT CAST(statistics AS BLOB), quiet_period FROM sender ORDER BY place"
    ):
        with suppress(ValueError):
            senders.append(_STATISTICS.validate_json(text))
    return senders, quiet_period


def _read_description(text: str) -> SeriesDescription:
    try:
        return SeriesDescription(**json.loads(text))
    except TypeError as error:
        raise ValueError("a description has fields of no description") from error


def _write_series(connection: sqlite3.Connection, revision: SeriesRevision) -> int:
    (series_id,) = connection.execute(
        "INSERT INTO series (series_instance_uid, study_instance_uid, patient_id,"
        " calling_ae_title, revision, inconsistent_attributes, damaged_instances,"
        " first_instance_at, last_instance_at, closed_at, description, seal)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (series_instance_uid) DO UPDATE SET revision = excluded.revision,"
        " inconsistent_attributes = excluded.inconsistent_attributes,"
        " damaged_instances = excluded.damaged_instances,"
        " first_instance_at = excluded.first_instance_at,"
        " last_instance_at = excluded.last_instance_at,"
        " closed_at = excluded.closed_at, description = excluded.description,"
        " seal = excluded.seal"
        " RETURNING series_id",
        (
            revision.series_instance_uid,
            revision.study_instance_uid,
            revision.patient_id,
            revision.calling_ae_title,
            revision.revision,
            json.dumps(sorted(revision.inconsistent_attributes)),
            json.dumps(sorted(revision.damaged_instances)),
            revision.first_instance_at.isoformat(),
            revision.last_instance_at.isoformat(),
            revision.closed_at.isoformat(),
            json.dumps(asdict(revision.description)),
            _seal_of(revision),
        ),
    ).fetchone()
    return int(series_id)


def _copy_rows(series_id: int, revision: SeriesRevision) -> Iterable[tuple[object, ...]]:
    for uid in revision.added_instances:
        summary = revision.instances[uid]
        yield (
            series_id,
            uid,
            summary.digest,
            False,
            summary.size,
            summary.instance_number,
            revision.revision,
        )
    for copy in revision.added_conflicts:
        yield (series_id, *copy, True, None, None, revision.revision)


def _seal_of(revision: SeriesRevision) -> bytes:
    """Return a digest of all that is remembered of a series, but which revision added what."""
    return _seal(
        revision.series_instance_uid,
        revision.study_instance_uid,
        revision.patient_id,
        revision.revision,
        revision.calling_ae_title,
        sorted((uid, s.size, s.instance_number, s.digest) for uid, s in revision.instances.items()),
        sorted(map(tuple, revision.conflicting_copies)),
        sorted(revision.inconsistent_attributes),
        sorted(revision.damaged_instances),
        revision.first_instance_at.isoformat(),
        revision.last_instance_at.isoformat(),
        revision.closed_at.isoformat(),
        asdict(revision.description),
    )


def _seal(*values: object) -> bytes:
    return blake2b(repr(values).encode(), digest_size=16).digest()


def _conflicts(copies: Sequence[Sequence[Any]]) -> frozenset[InstanceCopy]:
    return frozenset(InstanceCopy(copy[0], copy[1]) for copy in copies if copy[2])
