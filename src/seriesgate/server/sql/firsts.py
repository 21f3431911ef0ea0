"""Which series is the first of its study or patient, when the one that was goes elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select, update

from seriesgate.server.registry.keys import key
from seriesgate.server.registry.query import Attribute
from seriesgate.server.sql.tables import series_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection

    from seriesgate.series.report import Series

_INDEX = series_index.c
_ARRIVAL = (_INDEX.ReceivedAt, _INDEX.SeriesInstanceUID)


class Difference(NamedTuple):
    """By how much the numbers of studies and patients have changed."""

    studies: int
    patients: int


def move_firsts(connection: Connection, moved: Sequence[tuple[Series, Series]]) -> Difference:
    """Mark the first series of each study and patient anew that series left, or came to.

    `moved` are rows before and after; the index has them as they are after.
    """
    studies = {row.StudyInstanceUID for pair in moved for row in pair}
    patients = {key(Attribute.PATIENT_ID, row.PatientID) for pair in moved for row in pair}
    return Difference(
        mark_anew(connection, _INDEX.StudyInstanceUID, _INDEX.FirstOfStudy, studies),
        mark_anew(connection, _INDEX.PatientKey, _INDEX.FirstOfPatient, patients),
    )


def mark_anew(
    connection: Connection,
    column: ColumnElement[str],
    first: ColumnElement[str],
    values: Iterable[str],
) -> int:
    """Mark the first series that has each value; return how many more values have one now.

    `column` is that of the values in the index, `first` the one that marks the first series.
    """
    wanted = sorted(values)
    if not wanted:
        return 0
    marked = first.in_(wanted)
    before: int = connection.scalar(select(func.count()).where(marked)) or 0
    connection.execute(update(series_index).where(marked).values({first.key: None}))
    after = 0
    for value in wanted:
        oldest = select(*_ARRIVAL).where(column == value).order_by(*_ARRIVAL).limit(1)
        found = connection.execute(oldest).one_or_none()
        if found is not None:
            after += 1
            is_it = (_ARRIVAL[0] == found[0]) & (_ARRIVAL[1] == found[1])
            connection.execute(update(series_index).where(is_it).values({first.key: value}))
    return after - before
