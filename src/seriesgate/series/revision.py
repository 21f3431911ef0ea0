"""Revisions of a series: what is known of it after each closing.

At one second of quiet, late instances are normal. Each closing that brings something new makes one
more revision, with the cumulative count; one that only repeats what is known makes none.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from seriesgate.series.model import CollectedSeries, InstanceSummary

#: How many missing instance numbers, and conflicting instances, one report names.
MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class SeriesRevision:
    """Everything known of a series as of one closing.

    `instances` is cumulative; `added_instances` counts those new since the revision before.
    """

    series_instance_uid: str
    study_instance_uid: str
    revision: int
    calling_ae_title: str
    instances: Mapping[str, InstanceSummary]
    added_instances: int
    conflicting_instances: frozenset[str]
    first_instance_at: datetime
    last_instance_at: datetime
    closed_at: datetime

    @property
    def size(self) -> int:
        """The size of all data sets in bytes."""
        return sum(summary.size for summary in self.instances.values())

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
        return SeriesRevision(
            series_instance_uid=collected.series_instance_uid,
            study_instance_uid=collected.study_instance_uid,
            revision=1,
            calling_ae_title=collected.calling_ae_title,
            instances=collected.instances,
            added_instances=len(collected.instances),
            conflicting_instances=collected.conflicting_instances,
            first_instance_at=collected.first_instance_at,
            last_instance_at=collected.last_instance_at,
            closed_at=closed_at,
        )
    added = collected.instances.keys() - known.instances.keys()
    conflicts = known.conflicting_instances | collected.conflicting_instances
    if not added and conflicts == known.conflicting_instances:
        return None
    return replace(
        known,
        revision=known.revision + 1,
        instances={**collected.instances, **known.instances},
        added_instances=len(added),
        conflicting_instances=conflicts,
        first_instance_at=min(known.first_instance_at, collected.first_instance_at),
        last_instance_at=max(known.last_instance_at, collected.last_instance_at),
        closed_at=closed_at,
    )
