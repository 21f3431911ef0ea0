"""Revisions of a series: what is known of it after each closing.

At one second of quiet, late instances are normal. Each closing that brings something new makes one
more revision, with the cumulative count; one that only repeats what is known makes none.

Decided in ADR 4.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seriesgate.series.description import SeriesDescription
from seriesgate.series.model import PATIENT_ID, STUDY_INSTANCE_UID, InstanceCopy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from seriesgate.series.model import CollectedSeries, InstanceSummary

#: How many missing instance numbers, conflicting or damaged instances, one report names.
MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class SeriesRevision:
    """Everything known of a series as of one closing.

    `instances` and `conflicting_copies` are cumulative; `added_instances` and `added_conflicts` are
    those new since the revision before. `damaged_instances` were acknowledged, but their files are
    damaged; they are not counted. `description` is that of the latest closing of which an
    instance could be read.
    """

    series_instance_uid: str
    study_instance_uid: str
    patient_id: bytes
    revision: int
    calling_ae_title: str
    instances: Mapping[str, InstanceSummary]
    conflicting_copies: frozenset[InstanceCopy]
    inconsistent_attributes: frozenset[str]
    added_instances: frozenset[str]
    added_conflicts: frozenset[InstanceCopy]
    damaged_instances: frozenset[str]
    first_instance_at: datetime
    last_instance_at: datetime
    closed_at: datetime
    description: SeriesDescription = field(default_factory=SeriesDescription)

    @property
    def size(self) -> int:
        """The size of all data sets in bytes."""
        return sum(summary.size for summary in self.instances.values())

    @property
    def conflicting_instances(self) -> frozenset[str]:
        """The SOP Instance UIDs that came with more than one content."""
        return frozenset(copy.sop_instance_uid for copy in self.conflicting_copies)

    def knows(self, copy: InstanceCopy) -> bool:
        """Return whether this very content of an instance is part of the revision."""
        summary = self.instances.get(copy.sop_instance_uid)
        return (
            summary is not None and summary.digest == copy.digest
        ) or copy in self.conflicting_copies

    def missing_instance_numbers(self) -> list[int]:
        """Return the holes between the least and the greatest Instance Number (0020,0013)."""
        numbers = sorted(
            {s.instance_number for s in self.instances.values() if s.instance_number is not None}
        )
        missing: list[int] = []
        for lower, upper in itertools.pairwise(numbers):
            # The range is cut before it is walked: two hostile numbers may be 2**32 apart.
            missing.extend(range(lower + 1, min(upper, lower + 1 + MAX_LISTED - len(missing))))
            if len(missing) == MAX_LISTED:
                break
        return missing


def next_revision(
    known: SeriesRevision | None, collected: CollectedSeries, closed_at: datetime
) -> SeriesRevision | None:
    """Return the revision that `collected` makes of what is `known`; None if it adds nothing."""
    if known is None:
        if not collected.instances:
            return None
        return SeriesRevision(
            series_instance_uid=collected.series_instance_uid,
            study_instance_uid=collected.study_instance_uid,
            patient_id=collected.patient_id,
            revision=1,
            calling_ae_title=collected.calling_ae_title,
            instances=collected.instances,
            conflicting_copies=collected.conflicting_copies,
            inconsistent_attributes=collected.inconsistent_attributes,
            added_instances=frozenset(collected.instances),
            added_conflicts=collected.conflicting_copies,
            damaged_instances=collected.damaged_instances,
            first_instance_at=collected.first_instance_at,
            last_instance_at=collected.last_instance_at,
            closed_at=closed_at,
        )
    added = collected.instances.keys() - known.instances.keys()
    conflicts = frozenset(
        copy
        for copy in collected.copies
        if not known.knows(copy)
        and not (
            copy.sop_instance_uid in added
            and collected.instances[copy.sop_instance_uid].digest == copy.digest
        )
    )
    inconsistent = known.inconsistent_attributes | _inconsistent_with(known, collected)
    instances = {**collected.instances, **known.instances}
    damaged = (known.damaged_instances | collected.damaged_instances) - instances.keys()
    if (
        not added
        and not conflicts
        and inconsistent == known.inconsistent_attributes
        and damaged == known.damaged_instances
    ):
        return None
    return replace(
        known,
        revision=known.revision + 1,
        instances=instances,
        conflicting_copies=known.conflicting_copies | conflicts,
        inconsistent_attributes=inconsistent,
        added_instances=frozenset(added),
        added_conflicts=conflicts,
        damaged_instances=damaged,
        first_instance_at=min(known.first_instance_at, collected.first_instance_at),
        last_instance_at=max(known.last_instance_at, collected.last_instance_at),
        closed_at=closed_at,
    )


def _inconsistent_with(known: SeriesRevision, collected: CollectedSeries) -> frozenset[str]:
    attributes = set(collected.inconsistent_attributes)
    if collected.study_instance_uid != known.study_instance_uid:
        attributes.add(STUDY_INSTANCE_UID)
    if collected.patient_id != known.patient_id:
        attributes.add(PATIENT_ID)
    return frozenset(attributes)
