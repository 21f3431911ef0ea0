"""What the journal lets go of: files that are delivered, and series long after that.

In slices: a series may have a million copies, and the journal's thread has other work.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from seriesgate.adapters.journal.copies import copies_of_revision
from seriesgate.adapters.journal.records import add_to_total
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

# How many copies, and how many series or deliveries, one call releases or forgets.
_COPIES = 5000
_BATCH = 100
# What no SeriesInstanceUID can begin with: a series that is partly forgotten is found by it.
_FORGOTTEN, _BEHIND = "\x01", "\x02"


def note_returned(
    connection: sqlite3.Connection, series_instance_uid: str, returned: Iterable[InstanceCopy]
) -> None:
    """Note copies that came again and whose delivery has let go of its files already."""
    connection.executemany(
        "INSERT OR IGNORE INTO returned_copy"
        " SELECT copy.series_id, sop_instance_uid, digest FROM series JOIN copy USING (series_id)"
        " JOIN delivery ON delivery.series_id = copy.series_id"
        " AND delivery.revision = copy.revision"
        " WHERE series_instance_uid = ? AND sop_instance_uid = ? AND digest = ?"
        " AND settled_at IS NOT NULL AND (is_released = 1"
        " OR (sop_instance_uid, digest) <= (released_instance_uid, released_digest))",
        ((series_instance_uid, *copy) for copy in returned),
    )


def take_releasable(
    connection: sqlite3.Connection, before: float
) -> dict[str, frozenset[InstanceCopy]]:
    """Mark some copies as released and return them, by series; nothing when there are no more.

    `before` is the time by which their delivery was settled. Raises DamagedRow for a damaged row.
    """
    found: defaultdict[str, set[InstanceCopy]] = defaultdict(set)
    room = _COPIES - _take_returned(connection, found)
    while room > 0:
        due = connection.execute(
            "SELECT serial, series_id, series_instance_uid, delivery.revision,"
            " released_instance_uid, released_digest FROM delivery JOIN series USING (series_id)"
            " WHERE settled_at <= ? AND is_released = 0 ORDER BY settled_at, serial LIMIT ?",
            (before, _BATCH),
        ).fetchall()
        if not due:
            break
        for serial, series_id, uid, revision, *after in due:
            if room == 0:
                break
            last = None if after[0] is None else InstanceCopy(*after)
            copies = copies_of_revision(connection, series_id, revision, last, room)
            _mark(connection, serial, None if len(copies) < room else copies[-1])
            if copies:
                found[uid].update(copies)
            room -= len(copies)
    return {uid: frozenset(copies) for uid, copies in found.items()}


def forget(connection: sqlite3.Connection, before: float) -> bool:
    """Forget some of what was settled by `before` and released; return if more may be left."""
    due = connection.execute(
        "SELECT series_id FROM delivery GROUP BY series_id"
        " HAVING max(coalesce(settled_at, 1e99)) <= ? AND min(is_released) = 1"
        " AND series_id NOT IN (SELECT series_id FROM returned_copy) LIMIT ?",
        (before, _BATCH),
    ).fetchall()
    for (series_id,) in due:
        _forget_deliveries(connection, series_id)
    return _delete_some(connection) or bool(due)


def _take_returned(
    connection: sqlite3.Connection, found: defaultdict[str, set[InstanceCopy]]
) -> int:
    rows = connection.execute(
        "SELECT series_id, series_instance_uid, sop_instance_uid, digest FROM returned_copy"
        " JOIN series USING (series_id) LIMIT ?",
        (_COPIES,),
    ).fetchall()
    for _, uid, *copy in rows:
        found[uid].add(InstanceCopy(*copy))
    connection.executemany(
        "DELETE FROM returned_copy WHERE series_id = ? AND sop_instance_uid = ? AND digest = ?",
        ((series_id, *copy) for series_id, _, *copy in rows),
    )
    return len(rows)


def _mark(connection: sqlite3.Connection, serial: int, last: InstanceCopy | None) -> None:
    """Mark a delivery as released, or how far it is."""
    connection.execute(
        "UPDATE delivery SET is_released = ?, released_instance_uid = ?, released_digest = ?"
        " WHERE serial = ?",
        (last is None, *(last or (None, None)), serial),
    )


def _forget_deliveries(connection: sqlite3.Connection, series_id: int) -> None:
    """Keep the sums of a series; its UID is free for one that is new from now on."""
    for state, added, deliveries in connection.execute(
        "SELECT state, sum(added_instances), count(*) FROM delivery"
        " WHERE series_id = ? GROUP BY state",
        (series_id,),
    ).fetchall():
        add_to_total(connection, f"forgotten {state}", added)
        add_to_total(connection, f"forgotten deliveries {state}", deliveries)
    connection.execute("DELETE FROM delivery WHERE series_id = ?", (series_id,))
    connection.execute(
        "UPDATE series SET series_instance_uid = ? WHERE series_id = ?",
        (f"{_FORGOTTEN}{series_id}", series_id),
    )


def _delete_some(connection: sqlite3.Connection) -> bool:
    """Delete what is left of forgotten series, up to some rows; return whether there was any."""
    room = _COPIES
    rows = connection.execute(
        "SELECT series_id FROM series WHERE series_instance_uid >= ? AND series_instance_uid < ?",
        (_FORGOTTEN, _BEHIND),
    ).fetchall()
    for (series_id,) in rows:
        for table, key in (("copy", "sop_instance_uid, digest"), ("number_range", "first")):
            if room > 0:
                room -= connection.execute(
                    f"DELETE FROM {table} WHERE series_id = ? AND ({key}) IN"  # noqa: S608
                    f" (SELECT {key} FROM {table} WHERE series_id = ? LIMIT ?)",
                    (series_id, series_id, room),
                ).rowcount
        if room <= 0:
            break
        connection.execute("DELETE FROM series WHERE series_id = ?", (series_id,))
    return bool(rows)
