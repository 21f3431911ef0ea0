"""How revisions, deliveries and their outcomes are written to the journal's tables, and read."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from seriesgate.adapters.journal.copies import write_copies
from seriesgate.adapters.journal.ranges import write_ranges
from seriesgate.adapters.journal.seals import DamagedRow, seal
from seriesgate.adapters.journal.summaries import latest_revision, write_summary
from seriesgate.gateway.senders import SenderStatistics
from seriesgate.series.delivery import Delivery, DeliveryState
from seriesgate.series.report import Series

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from seriesgate.gateway.ports import Outcome
    from seriesgate.series.revision import SeriesRevision

_STATISTICS = TypeAdapter(SenderStatistics)


def write_revision(
    connection: sqlite3.Connection, revision: SeriesRevision, delivery: Delivery
) -> None:
    """Write a revision, what it adds, and its delivery.

    Raises ValueError where it is not the next one: its series was forgotten after it was looked up.
    """
    if revision.summary.revision != 1 + latest_revision(connection, revision.summary):
        raise ValueError("what was known of a series has changed meanwhile")
    series_id = write_summary(connection, revision.summary)
    write_copies(connection, series_id, revision)
    write_ranges(connection, series_id, revision)
    added = len(revision.added_instances)
    report = delivery.report.model_dump_json(exclude_none=True)
    connection.execute(
        "INSERT INTO delivery (delivery_id, series_id, revision, added_instances, report, state,"
        " attempt, reason, is_released, seal) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, ?)",
        (
            delivery.delivery_id,
            series_id,
            revision.summary.revision,
            added,
            report,
            DeliveryState.PENDING,
            delivery.attempt,
            seal(delivery.delivery_id, report),
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


def read_delivery(delivery_id: str, report: str, attempt: int, kept: bytes) -> Delivery:
    """Return the delivery in a row of `delivery`. Raises DamagedRow when it is damaged."""
    if kept and kept != seal(delivery_id, report):
        raise DamagedRow("a delivery is not what was written")
    return Delivery(delivery_id, Series.model_validate_json(report), attempt)


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
