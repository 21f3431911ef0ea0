"""The copies of a series in the journal: written, looked up, and never read as a whole."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from seriesgate.adapters.journal.seals import DamagedRow, short_seal
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from seriesgate.series.model import CollectedSeries
    from seriesgate.series.revision import SeriesRevision

_COLUMNS = "series_id, sop_instance_uid, digest, is_conflict, size, instance_number, revision, seal"
_KEY = "(series_id, sop_instance_uid, digest)"
_AT_OR_AFTER = f"SELECT {_COLUMNS} FROM copy WHERE {_KEY} >= (?, ?, ?) ORDER BY 1, 2, 3 LIMIT 1"  # noqa: S608
_BEFORE = (
    f"SELECT {_COLUMNS} FROM copy WHERE {_KEY} < (?, ?, ?)"  # noqa: S608
    " ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1"
)


class CopyRow(NamedTuple):
    """A row of `copy`. `revision` is that which first had it."""

    series_id: int
    sop_instance_uid: str
    digest: bytes
    is_conflict: int
    size: int | None
    instance_number: int | None
    revision: int
    seal: int | None

    @property
    def key(self) -> tuple[int, str, bytes]:
        """What the row is found by."""
        return self[:3]

    @property
    def copy(self) -> InstanceCopy:
        """The copy that the row is of."""
        return InstanceCopy(self.sop_instance_uid, self.digest)


def write_copies(connection: sqlite3.Connection, series_id: int, revision: SeriesRevision) -> None:
    """Write what a revision adds."""
    connection.executemany(
        "INSERT INTO copy VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _added(series_id, revision)
    )


def look_up(
    connection: sqlite3.Connection, series_id: int, collected: CollectedSeries
) -> tuple[frozenset[InstanceCopy], frozenset[str]]:
    """Return which of the collected copies, and which instances, a series has already.

    Raises DamagedRow for a damaged row.
    """
    copies: set[InstanceCopy] = set()
    instances: set[str] = set()
    for copy in _in_question(collected):
        for row in _neighbours(connection, (series_id, *copy)):
            if row.series_id == series_id and row.sop_instance_uid == copy.sop_instance_uid:
                instances.add(copy.sop_instance_uid)
                if row.digest == copy.digest:
                    copies.add(copy)
    return frozenset(copies), frozenset(instances)


def read_copy(values: tuple[Any, ...]) -> CopyRow:
    """Return a row of `copy` whose columns are in their order. Raises DamagedRow if damaged."""
    row = CopyRow(*values)
    if row.seal is not None and row.seal != short_seal(*row[:-1]):
        raise DamagedRow("a copy is not what was written")
    return row


def read_all_copies(connection: sqlite3.Connection, series_id: int) -> Iterator[CopyRow]:
    """Yield every copy of a series. Raises ValueError for a damaged one."""
    with contextlib.closing(
        connection.execute(f"SELECT {_COLUMNS} FROM copy WHERE series_id = ?", (series_id,))  # noqa: S608
    ) as rows:
        yield from map(read_copy, rows)


def copies_of_revision(
    connection: sqlite3.Connection,
    series_id: int,
    revision: int,
    after: InstanceCopy | None,
    limit: int,
) -> list[InstanceCopy]:
    """Return the copies that a revision added, `limit` at most, in order from `after` on.

    Raises DamagedRow for a damaged row.
    """
    # Each of the two has its index: the first is most of the series, so its table is walked.
    is_late = "AND revision > 1 " if revision > 1 else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM copy WHERE series_id = ? AND revision = ? {is_late}"  # noqa: S608
        "AND (sop_instance_uid, digest) > (?, ?) ORDER BY sop_instance_uid, digest LIMIT ?",
        (series_id, revision, *(after or ("", b"")), limit),
    ).fetchall()
    return [read_copy(row).copy for row in rows]


def _added(series_id: int, revision: SeriesRevision) -> Iterator[tuple[object, ...]]:
    number = revision.summary.revision
    # In the order of the table, which is the quickest to fill.
    for uid, summary in sorted(revision.added_instances.items()):
        row = (series_id, uid, summary.digest, 0, summary.size, summary.instance_number, number)
        yield (*row, short_seal(*row))
    for copy in sorted(revision.added_conflicts):
        conflict = (series_id, *copy, 1, None, None, number)
        yield (*conflict, short_seal(*conflict))


def _in_question(collected: CollectedSeries) -> Iterator[InstanceCopy]:
    yield from collected.copies()
    yield from (InstanceCopy(uid, b"") for uid in collected.damaged_instances)


def _neighbours(connection: sqlite3.Connection, key: tuple[int, str, bytes]) -> Iterable[CopyRow]:
    """Return the row with this key, or else those beside the place where it would be.

    They tell whether the instance is known with another content. And where a damaged key has made a
    row unfindable, it still stands in its place: then its seal tells.
    """
    found = [read_copy(row) for row in connection.execute(_AT_OR_AFTER, key).fetchall()]
    if not found or found[0].key != key:
        found += [read_copy(row) for row in connection.execute(_BEFORE, key).fetchall()]
    return found
