"""Which report of a series is kept. Pure: the rule that every store obeys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seriesgate.series.report import Series
from seriesgate.server.registry.keys import same_text
from seriesgate.server.registry.store import (
    NoOtherReport,
    Outcome,
    Registration,
    SeriesContradiction,
    StoredSeries,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
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

    `received_at` is aware UTC. Raises `SeriesContradiction` for another study or patient, but not
    where a gateway corrects itself: of two of its revisions, the later one that counts no fewer
    instances is right, whichever comes first.
    """
    if kept is None:
        return Registration(_row(report, received_at, received_at), Outcome.CREATED)
    field = _contradiction(kept, report)
    if field is not None and not _is_correction(kept, report):
        raise SeriesContradiction(field)
    if _rank(report) <= _rank(kept):
        return Registration(kept, Outcome.UNCHANGED)
    row = _row(report, kept.ReceivedAt, received_at, has_preview=kept.HasPreview)
    return Registration(row, Outcome.UPDATED)


def _contradiction(kept: Series, report: Series) -> str | None:
    """Name the field by which two reports of a series are of different studies or patients."""
    if report.StudyInstanceUID != kept.StudyInstanceUID:
        return "StudyInstanceUID"
    if not same_text(report.PatientID, kept.PatientID):
        return "PatientID"
    return None


def _is_correction(kept: Series, report: Series) -> bool:
    """Return whether one of the two reports takes the place of the other, as their gateway says.

    Most instances of a series may turn out to be of another patient than the first that came.
    """
    if not report.Gateway or report.Gateway != kept.Gateway or report.Revision == kept.Revision:
        return False
    earlier, later = sorted((kept, report), key=lambda each: each.Revision)
    return later.InstancesInSeries >= earlier.InstancesInSeries


@dataclass(frozen=True, slots=True)
class Repair:
    """What is to be done: the row, of the report `digest`, and which reports are withdrawn."""

    registration: Registration
    digest: str
    withdrawn: tuple[str, ...]


def repaired(
    kept: StoredSeries, reports: Mapping[str, Series], at_most: int | None, now: datetime
) -> Repair:
    """Decide what the row of a series is without reports that count too many instances.

    Too many is more than `at_most`, or by default as many as the row `kept`. Of the other
    `reports`, by their digests, the row is the one that it would be had they alone come. Raises
    NoOtherReport.
    """
    most = kept.InstancesInSeries - 1 if at_most is None else at_most
    left = {key: each for key, each in reports.items() if each.InstancesInSeries <= most}
    if not left:
        raise NoOtherReport
    digest = max(left, key=lambda each: _rank(left[each]))
    row = _row(left[digest], kept.ReceivedAt, now, has_preview=kept.HasPreview)
    withdrawn = tuple(sorted(reports.keys() - left.keys()))
    is_same = canonical_json(row) == canonical_json(kept)
    registration = (
        Registration(kept, Outcome.UNCHANGED) if is_same else Registration(row, Outcome.UPDATED)
    )
    return Repair(registration, digest, withdrawn)


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
