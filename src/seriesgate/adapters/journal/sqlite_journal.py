"""The journal in one SQLite file, on one connection that one thread uses.

Decided in ADR 11.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seriesgate.adapters.journal.check import check_series
from seriesgate.adapters.journal.copies import look_up
from seriesgate.adapters.journal.journal_file import mapped_errors, open_journal
from seriesgate.adapters.journal.ranges import read_ranges
from seriesgate.adapters.journal.records import (
    read_delivery,
    read_senders,
    write_outcome,
    write_revision,
    write_senders,
)
from seriesgate.adapters.journal.releases import forget, note_returned, take_releasable
from seriesgate.adapters.journal.summaries import named_before_divided, read_summary
from seriesgate.gateway.ports import DeadLetter, Owed, PendingDelivery, Tally
from seriesgate.series.delivery import DeliveryState
from seriesgate.series.model import InstanceCopy
from seriesgate.series.revision import KnownSeries, added_instances, new_numbers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from seriesgate.gateway.ports import Outcome
    from seriesgate.gateway.senders import SenderStatistics
    from seriesgate.series.delivery import Delivery
    from seriesgate.series.model import CollectedSeries
    from seriesgate.series.revision import SeriesRevision

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

    def known(self, collected: CollectedSeries) -> KnownSeries | None:
        """Return what is known of a series, as far as `collected` asks; None if it is not known."""
        with mapped_errors(self._connection):
            found = read_summary(self._connection, collected.series_instance_uid)
            if found is None:
                return None
            series_id, summary = found
            identities = named_before_divided(
                self._connection, series_id, summary.identities, collected
            )
            copies, instances = look_up(self._connection, series_id, collected)
            known = KnownSeries(replace(summary, identities=identities), copies, instances)
            numbers = new_numbers(added_instances(known, collected))
            return replace(known, ranges=read_ranges(self._connection, series_id, numbers))

    def record(self, closed: Iterable[tuple[SeriesRevision, Delivery]]) -> None:
        """Write revisions, what they add, and their deliveries, all or nothing."""
        with self._transaction() as connection:
            for revision, delivery in closed:
                write_revision(connection, revision, delivery)
                uid = revision.summary.series_instance_uid
                note_returned(connection, uid, revision.returned_copies)

    def check(self) -> None:
        """Read all that is known of every series. Raises JournalFailed when it is damaged."""
        with mapped_errors(self._connection):
            check_series(self._connection)

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

    def hold(self, series_instance_uid: str, returned: Iterable[InstanceCopy]) -> None:
        """Have files released once more: these known copies came again."""
        with self._transaction() as connection:
            note_returned(connection, series_instance_uid, returned)

    def take_releasable(self, delivered_before: datetime) -> Mapping[str, frozenset[InstanceCopy]]:
        """Return some copies, by series, that were delivered before then, each once."""
        with self._transaction() as connection:
            return take_releasable(connection, delivered_before.timestamp())

    def forget(self, delivered_before: datetime) -> bool:
        """Forget some of what was delivered and released before then; return if more is left."""
        with self._transaction() as connection:
            return forget(connection, delivered_before.timestamp())

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
