"""The Instance Numbers of a series in the journal, as ranges."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from seriesgate.adapters.journal.seals import DamagedRow, short_seal
from seriesgate.series.number_ranges import NumberRange, ranges_of
from seriesgate.series.revision import ranges_needed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator

    from seriesgate.series.revision import SeriesRevision

_SELECT = "SELECT first, last, seal FROM number_range WHERE series_id = ?"


def read_ranges(
    connection: sqlite3.Connection, series_id: int, numbers: Collection[int]
) -> tuple[NumberRange, ...]:
    """Return the first ranges of a series, and those that new `numbers` touch, in order.

    Raises DamagedRow for a damaged one.
    """
    limit = ranges_needed(len(numbers))

    def found(condition: str, *values: int) -> list[NumberRange]:
        rows = connection.execute(f"{_SELECT} {condition}", (series_id, *values))
        return [_read(series_id, *row) for row in rows.fetchall()]

    ranges = found("ORDER BY first LIMIT ?", limit)
    if len(ranges) < limit:
        return tuple(ranges)
    touched = set(ranges)
    for run in ranges_of(numbers):
        if run.last >= ranges[-1].last:
            touched.update(found("AND first <= ? ORDER BY first DESC LIMIT 1", run.first))
            touched.update(found("AND first > ? AND first <= ?", run.first, run.last + 1))
    return tuple(sorted(touched))


def read_all_ranges(connection: sqlite3.Connection, series_id: int) -> Iterator[NumberRange]:
    """Yield every range of a series, in order. Raises ValueError for a damaged one."""
    with contextlib.closing(connection.execute(f"{_SELECT} ORDER BY first", (series_id,))) as rows:
        yield from (_read(series_id, *row) for row in rows)


def write_ranges(connection: sqlite3.Connection, series_id: int, revision: SeriesRevision) -> None:
    """Write how a revision changes the ranges."""
    connection.executemany(
        "DELETE FROM number_range WHERE series_id = ? AND first = ?",
        ((series_id, gone.first) for gone in revision.ranges_gone),
    )
    connection.executemany(
        "INSERT INTO number_range VALUES (?, ?, ?, ?)",
        (
            (series_id, *each, short_seal(series_id, *each))
            for each in sorted(revision.ranges_added)
        ),
    )


def _read(series_id: int, first: int, last: int, seal: int | None) -> NumberRange:
    if seal is not None and seal != short_seal(series_id, first, last):
        raise DamagedRow("a range of numbers is not what was written")
    return NumberRange(first, last)
