"""The journal in one SQLite file, on one connection that one thread uses.

Decided in ADR 11.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seriesgate.adapters.journal.journal_file import mapped_errors, open_journal
from seriesgate.adapters.journal.records import (
    add_to_total,
    read_delivery,
    read_revision,
    read_senders,
    write_outcome,
    write_revision,
    write_senders,
)
from seriesgate.gateway.ports import DeadLetter, Owed, PendingDelivery, Tally
from seriesgate.series.delivery import DeliveryState
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from seriesgate.gateway.ports import Outcome
    from seriesgate.gateway.senders import SenderStatistics
    from seriesgate.series.delivery import Delivery
    from seriesgate.series.revision import SeriesRevision

# How many series one call releases or forgets: the thread is never busy for long.
_BATCH = 100

_PENDING, _DEAD = DeliveryState.PENDING.value, DeliveryState.DEAD.value
_DELIVERED, _DISCARDED = DeliveryState.DELIVERED.value, DeliveryState.DISCARDED.value


class SqliteJournal:
    """Implements `Journal` in the file `path`. To be made, used and closed on one thread.

    `is_expected` says that an earlier run must have left one. A damaged one is put away, and a new
    one begun; without `begins_anew` it is left alone, and cannot be used. Raises CannotStart.
    """

    def __init__(self, path: Path, *, is_expected: bool, begins_anew: bool = True) -> None:
        self._connection = open_journal(path, is_expected=is_expected, begins_anew=begins_anew)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def known(self, series_instance_uid: str) -> SeriesRevision | None:
        """Return the latest revision of a series, or None if it is not known."""
        with mapped_errors(self._connection):
            row = self._connection.execute(
                "SELECT series_id, study_instance_uid, patient_id, calling_ae_title, revision,"
                " inconsistent_attributes, damaged_instances, first_instance_at, last_instance_at,"
                " closed_at, description, seal FROM series WHERE series_instance_uid = ?",
                (series_instance_uid,),
            ).fetchone()
            if row is None:
                return None
            copies = self._connection.execute(
                "SELECT sop_instance_uid, digest, is_conflict, size, instance_number, revision"
                " FROM copy WHERE series_id = ?",
                (row[0],),
            ).fetchall()
            return read_revision(series_instance_uid, row[1:], copies)

    def record(self, closed: Iterable[tuple[SeriesRevision, Delivery]]) -> None:
        """Write revisions, their instances and their deliveries, all or nothing."""
        with self._transaction() as connection:
            for revision, delivery in closed:
                write_revision(connection, revision, delivery)

    def load(self, delivery_id: str) -> Delivery:
        """Return an undelivered delivery. Raises KeyError for any other."""
        with mapped_errors(self._connection):
            row = self._connection.execute(
                "SELECT report, attempt, seal FROM delivery"
                " WHERE delivery_id = ? AND state IN (?, ?)",
                (delivery_id, _PENDING, _DEAD),
            ).fetchone()
            if row is None:
                raise KeyError(delivery_id)
            return read_delivery(delivery_id, *row)

    def settle(self, outcomes: Iterable[Outcome], at: datetime) -> None:
        """Write down what became of attempts; a failed one counts."""
        with self._transaction() as connection:
            for outcome in outcomes:
                write_outcome(connection, outcome, at)

    def is_delivered(self, series_instance_uid: str) -> bool:
        """Return whether nothing of a known series is owed any more, nor a dead letter."""
        with mapped_errors(self._connection):
            row = self._connection.execute(
                "SELECT 1 FROM delivery JOIN series USING (series_id)"
                " WHERE series_instance_uid = ? AND settled_at IS NULL",
                (series_instance_uid,),
            ).fetchone()
        return row is None

    def hold(self, series_instance_uid: str) -> None:
        """Have the files of a delivered series released once more: some of them came again."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE delivery SET is_released = 0 WHERE serial = (SELECT max(serial) FROM"
                " delivery JOIN series USING (series_id) WHERE series_instance_uid = ?"
                " AND settled_at IS NOT NULL)",
                (series_instance_uid,),
            )

    def take_releasable(self, delivered_before: datetime) -> Mapping[str, frozenset[InstanceCopy]]:
        """Return copies, by series, that were delivered before then, each once."""
        before = delivered_before.timestamp()
        copies: defaultdict[str, set[InstanceCopy]] = defaultdict(set)
        with self._transaction() as connection:
            series = connection.execute(
                "SELECT DISTINCT series_id, series_instance_uid FROM delivery"
                " JOIN series USING (series_id)"
                " WHERE settled_at <= ? AND is_released = 0 LIMIT ?",
                (before, _BATCH),
            ).fetchall()
            for series_id, uid in series:
                copies[uid].update(
                    InstanceCopy(*row)
                    for row in connection.execute(
                        "SELECT sop_instance_uid, digest FROM copy"
                        " JOIN delivery USING (series_id, revision)"
                        " WHERE series_id = ? AND settled_at <= ?",
                        (series_id, before),
                    )
                )
                connection.execute(
                    "UPDATE delivery SET is_released = 1 WHERE series_id = ? AND settled_at <= ?",
                    (series_id, before),
                )
        return {uid: frozenset(found) for uid, found in copies.items()}

    def forget(self, delivered_before: datetime) -> int:
        """Forget some series that were delivered and released before then; return how many."""
        with self._transaction() as connection:
            forgotten = connection.execute(
                "SELECT series_id FROM delivery GROUP BY series_id"
                " HAVING max(coalesce(settled_at, 1e99)) <= ? AND min(is_released) = 1 LIMIT ?",
                (delivered_before.timestamp(), _BATCH),
            ).fetchall()
            for (series_id,) in forgotten:
                for state, added, deliveries in connection.execute(
                    "SELECT state, sum(added_instances), count(*) FROM delivery"
                    " WHERE series_id = ? GROUP BY state",
                    (series_id,),
                ).fetchall():
                    add_to_total(connection, f"forgotten {state}", added)
                    add_to_total(connection, f"forgotten deliveries {state}", deliveries)
                connection.execute("DELETE FROM series WHERE series_id = ?", (series_id,))
        return len(forgotten)

    def undelivered(self) -> list[Owed]:
        """Return what is owed, revisions of one series in order; called once at start."""
        with mapped_errors(self._connection):
            rows = self._connection.execute(
                "SELECT delivery_id, series_instance_uid FROM delivery JOIN series"
                " USING (series_id) WHERE state = ? ORDER BY serial",
                (_PENDING,),
            )
            return [Owed(*row) for row in rows]

    def owed_copies(self) -> Iterator[tuple[str, InstanceCopy]]:
        """Yield what must be in the spool: series and copies of what is pending or dead."""
        with mapped_errors(self._connection):
            for uid, *copy in self._connection.execute(
                "SELECT series_instance_uid, sop_instance_uid, digest FROM delivery"
                " JOIN series USING (series_id)"
                " JOIN copy ON copy.series_id = delivery.series_id"
                " AND copy.revision = delivery.revision"
                " WHERE state IN (?, ?)",
                (_PENDING, _DEAD),
            ):
                yield uid, InstanceCopy(*copy)

    def pending(self, limit: int) -> list[PendingDelivery]:
        """Return what is owed, the oldest first, `limit` at most."""
        with mapped_errors(self._connection):
            rows = self._connection.execute(
                "SELECT delivery_id, series_instance_uid, delivery.revision, added_instances,"
                " attempt - 1, reason FROM delivery JOIN series USING (series_id)"
                " WHERE state = ? ORDER BY serial LIMIT ?",
                (_PENDING, limit),
            )
            return [PendingDelivery(*row) for row in rows]

    def dead_letters(self) -> list[DeadLetter]:
        """Return what was given up, the oldest first."""
        with mapped_errors(self._connection):
            rows = self._connection.execute(
                "SELECT delivery_id, series_instance_uid, delivery.revision, added_instances,"
                " attempt - 1, reason, died_at FROM delivery JOIN series USING (series_id)"
                " WHERE state = ? ORDER BY serial",
                (_DEAD,),
            ).fetchall()
        return [
            DeadLetter(uid, series, revision, added, attempts, reason, _utc(died_at))
            for uid, series, revision, added, attempts, reason, died_at in rows
        ]

    def revive(self, delivery_id: str) -> Owed:
        """Make a dead letter owed again. Raises KeyError if it is none."""
        with self._transaction() as connection:
            owed = _dead(connection, delivery_id)
            connection.execute(
                "UPDATE delivery SET state = ?, died_at = NULL WHERE delivery_id = ?",
                (_PENDING, delivery_id),
            )
        return owed

    def discard(self, delivery_id: str, at: datetime) -> None:
        """Give a dead letter up for good. Raises KeyError if it is none."""
        with self._transaction() as connection:
            _dead(connection, delivery_id)
            connection.execute(
                "UPDATE delivery SET state = ?, settled_at = ? WHERE delivery_id = ?",
                (_DISCARDED, at.timestamp(), delivery_id),
            )

    def tally(self) -> Tally:
        """Return the numbers that must add up."""
        with mapped_errors(self._connection):
            totals = dict(self._connection.execute("SELECT name, value FROM total"))
            rows = self._connection.execute(
                "SELECT state, sum(added_instances), count(*) FROM delivery GROUP BY state"
            ).fetchall()
            oldest = self._connection.execute(
                "SELECT delivery_id, report, attempt, seal FROM delivery"
                " WHERE state = ? ORDER BY serial LIMIT 1",
                (_PENDING,),
            ).fetchone()
            oldest_report = read_delivery(*oldest).report if oldest else None
        instances = {state: added for state, added, _ in rows}
        deliveries = {state: count for state, _, count in rows}
        for state in DeliveryState:
            instances[state] = instances.get(state, 0) + totals.get(f"forgotten {state}", 0)
            deliveries[state] = deliveries.get(state, 0) + totals.get(
                f"forgotten deliveries {state}", 0
            )
        return Tally(
            closed=totals.get("closed", 0),
            delivered=instances[_DELIVERED],
            pending=instances[_PENDING],
            dead=instances[_DEAD],
            discarded=instances[_DISCARDED],
            deliveries={state: deliveries[state] for state in DeliveryState},
            oldest_pending_at=oldest_report.ClosedAt if oldest_report else None,
        )

    def count_death(self, unit_id: str) -> None:
        """Count that a run has died of a unit of its work."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO death VALUES (?, 1)"
                " ON CONFLICT (unit_id) DO UPDATE SET times = times + 1",
                (unit_id,),
            )

    def deaths(self) -> Mapping[str, int]:
        """Return how often a run has died of each unit, by its id."""
        with mapped_errors(self._connection):
            return dict(self._connection.execute("SELECT unit_id, times FROM death").fetchall())

    def forget_death(self, unit_id: str) -> None:
        """Forget that runs have died of a unit."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM death WHERE unit_id = ?", (unit_id,))

    def keep_senders(self, senders: Sequence[SenderStatistics], quiet_period: float) -> None:
        """Remember these senders, in this order, instead of those that were kept before."""
        with self._transaction() as connection:
            write_senders(connection, senders, quiet_period)

    def senders(self) -> tuple[list[SenderStatistics], float | None]:
        """Return those that were kept, but damaged ones, and their quiet period."""
        with mapped_errors(self._connection):
            return read_senders(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with mapped_errors(connection, writes=True):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT, or a full disk, may have ended the transaction already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def _dead(connection: sqlite3.Connection, delivery_id: str) -> Owed:
    row = connection.execute(
        "SELECT delivery_id, series_instance_uid FROM delivery JOIN series USING (series_id)"
        " WHERE delivery_id = ? AND state = ?",
        (delivery_id, _DEAD),
    ).fetchone()
    if row is None:
        raise KeyError(delivery_id)
    return Owed(*row)
