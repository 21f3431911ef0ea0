"""Which report of a series is kept. Pure: the rule that every store obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seriesgate.series.report import Series
from seriesgate.server.registry.store import (
    Outcome,
    Registration,
    SeriesContradiction,
    StoredSeries,
)

if TYPE_CHECKING:
    from datetime import datetime

_REPORTED = set(Series.model_fields)


def merge(kept: StoredSeries | None, report: Series, received_at: datetime) -> Registration:
    """Decide what the row of a series is after `report` came, given the row `kept` so far.

    The row is always one report as a whole: the one with the most instances, then the highest
    revision. So a report of five fields that counts more instances than the row replaces all of
    it, optional fields included, and one that counts fewer changes nothing. Fields of two reports
    are never mixed: such a row would say what no one has reported.

    Where both numbers are equal, the report that states more fields is kept, and then the one
    whose JSON text is the greater; that has no meaning but that the order of arrival has none.

    `received_at` is aware UTC. Raises `SeriesContradiction` for another study or patient.
    """
    if kept is None:
        return Registration(_row(report, received_at, received_at), Outcome.CREATED)
    if report.StudyInstanceUID != kept.StudyInstanceUID:
        raise SeriesContradiction("StudyInstanceUID")
    # PS3.5 6.2: leading and trailing spaces of an LO are not significant.
    if report.PatientID.strip(" ") != kept.PatientID.strip(" "):
        raise SeriesContradiction("PatientID")
    if _rank(report) <= _rank(kept):
        return Registration(kept, Outcome.UNCHANGED)
    row = _row(report, kept.ReceivedAt, received_at, has_preview=kept.HasPreview)
    return Registration(row, Outcome.UPDATED)


def canonical_json(report: Series) -> str:
    """Give the JSON text of what a report states. Two reports say the same if their texts do."""
    return report.model_dump_json(include=_REPORTED, exclude_defaults=True)


def _rank(report: Series) -> tuple[int, int, int, str]:
    stated = report.model_dump(include=_REPORTED, exclude_defaults=True)
    return (report.InstancesInSeries, report.Revision, len(stated), canonical_json(report))


def _row(
    report: Series, received_at: datetime, updated_at: datetime, *, has_preview: bool = False
) -> StoredSeries:
    return StoredSeries.model_construct(
        **vars(report), ReceivedAt=received_at, UpdatedAt=updated_at, HasPreview=has_preview
    )
