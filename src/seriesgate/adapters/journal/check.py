"""Reads all of the journal: what is looked up is checked at each use, the rest only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seriesgate.adapters.journal.copies import read_all_copies
from seriesgate.adapters.journal.ranges import read_all_ranges
from seriesgate.adapters.journal.summaries import read_summary

if TYPE_CHECKING:
    import sqlite3


def check_series(connection: sqlite3.Connection) -> None:
    """Check every series, its copies and its Instance Numbers. Raises ValueError for damage."""
    uids = connection.execute(
        "SELECT series_instance_uid FROM series JOIN delivery USING (series_id) GROUP BY series_id"
    ).fetchall()
    for (uid,) in uids:
        found = read_summary(connection, uid)
        if found is None:
            raise ValueError("a series is not found by its name")
        series_id, summary = found
        instances = sum(not row.is_conflict for row in read_all_copies(connection, series_id))
        if instances != summary.instances:
            raise ValueError("a series has not as many instances as were counted")
        for _ in read_all_ranges(connection, series_id):
            pass
