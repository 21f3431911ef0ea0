"""Revisions of a series: what is known of it after each closing.

At one second of quiet, late instances are normal. Each closing that brings something new makes one
more revision, with the cumulative count; one that only repeats what is known makes none. What a
revision takes depends on what is new, not on how much of the series there is already.

Decided in ADR 4 and ADR 52.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seriesgate.series.identity_groups import MAX_LISTED, IdentityGroups, disagreements
from seriesgate.series.model import InstanceCopy
from seriesgate.series.number_ranges import (
    ANY_NUMBER,
    NumberRange,
    joined,
    missing_numbers,
    ranges_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from seriesgate.series.description import SeriesDescription
    from seriesgate.series.model import CollectedSeries, InstanceSummary


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """What is remembered of a series as of one closing: bounded, however large the series is.

    `instances` counts distinct SOP Instance UIDs, `size` is that of their data sets in bytes.
    `conflicting_instances` came with more than one content; `damaged_instances` were acknowledged,
    but their files are damaged: they are not counted. Both name MAX_LISTED at most, in order.
    """

    series_instance_uid: str
    revision: int
    instances: int
    size: int
    identities: IdentityGroups
    inconsistent_attributes: frozenset[str]
    conflicting_instances: tuple[str, ...]
    damaged_instances: tuple[str, ...]
    first_instance_at: datetime
    last_instance_at: datetime
    closed_at: datetime

    @property
    def description(self) -> SeriesDescription:
        """What an instance says that agrees with most."""
        return self.identities.majority.description

    @property
    def study_instance_uid(self) -> str:
        """The study that this same instance names, or most do when none could be read."""
        named = self.description.study_instance_uid
        return named or self.identities.majority.identity.study_instance_uid

    @property
    def inconsistent_instances(self) -> int:
        """How many instances name another study or patient than most."""
        return self.instances - self.identities.majority.instances


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """What is known of a series when more of it was collected.

    `copies` and `instances` are those of the collected ones that are known; damaged instances were
    looked for too. `ranges` are those of the Instance Numbers, in order: the first of them, up to
    `ranges_needed` for the numbers that are new, and whatever touches these.
    """

    summary: SeriesSummary
    copies: frozenset[InstanceCopy] = frozenset()
    instances: frozenset[str] = frozenset()
    ranges: tuple[NumberRange, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesRevision:
    """One closing: the series as it is after it, and what is new.

    `returned_copies` came again. `ranges_gone` are replaced by `ranges_added`.
    """

    summary: SeriesSummary
    added_instances: Mapping[str, InstanceSummary]
    added_conflicts: frozenset[InstanceCopy] = frozenset()
    returned_copies: frozenset[InstanceCopy] = frozenset()
    missing_instance_numbers: tuple[int, ...] = ()
    ranges_gone: frozenset[NumberRange] = field(default_factory=frozenset)
    ranges_added: frozenset[NumberRange] = field(default_factory=frozenset)

    def described(self, description: SeriesDescription) -> SeriesRevision:
        """Return the revision with what one of its instances says, which agrees with most."""
        identities = self.summary.identities.described(description)
        return replace(self, summary=replace(self.summary, identities=identities))

    def added_strays(self) -> int:
        """Return how many of the added instances name another study or patient than most."""
        identity = self.summary.identities.majority.identity
        return sum(each.identity != identity for each in self.added_instances.values())


def ranges_needed(new_numbers: int) -> int:
    """Return how many of the first ranges tell the first MAX_LISTED numbers that are missing.

    Each new number may join two of them, and one hole is between two.
    """
    return MAX_LISTED + 1 + new_numbers


def next_revision(
    known: KnownSeries | None, collected: CollectedSeries, closed_at: datetime
) -> SeriesRevision | None:
    """Return the revision that `collected` makes of what is `known`; None if it adds nothing."""
    if known is None:
        if not collected.instances:
            return None
        known = KnownSeries(_nothing(collected))
    before = known.summary
    added = added_instances(known, collected)
    conflicts = _added_conflicts(known, collected)
    inconsistent = before.inconsistent_attributes | disagreements(
        {*collected.identities(), *(group.identity for group in before.identities.groups)}
    )
    damaged = {*before.damaged_instances, *collected.damaged_instances}
    damaged = damaged - known.instances - added.keys()
    summary = replace(
        before,
        revision=before.revision + 1,
        instances=before.instances + len(added),
        size=before.size + sum(each.size for each in added.values()),
        identities=before.identities.joined_by(added, collected.calling_ae_titles),
        inconsistent_attributes=inconsistent,
        conflicting_instances=_listed(
            {*before.conflicting_instances, *(copy.sop_instance_uid for copy in conflicts)}
        ),
        damaged_instances=_listed(damaged),
        first_instance_at=min(before.first_instance_at, collected.first_instance_at),
        last_instance_at=max(before.last_instance_at, collected.last_instance_at),
        closed_at=closed_at,
    )
    if (
        not added
        and not conflicts
        and inconsistent == before.inconsistent_attributes
        and summary.damaged_instances == before.damaged_instances
    ):
        return None
    ranges = joined(known.ranges, _ranges_of(added))
    return SeriesRevision(
        summary=summary,
        added_instances=added,
        added_conflicts=conflicts,
        returned_copies=known.copies,
        missing_instance_numbers=tuple(missing_numbers(ranges, MAX_LISTED)),
        ranges_gone=frozenset(known.ranges).difference(ranges),
        ranges_added=frozenset(ranges).difference(known.ranges),
    )


def added_instances(
    known: KnownSeries, collected: CollectedSeries
) -> Mapping[str, InstanceSummary]:
    """Return the collected instances that are not known."""
    if not known.instances:
        return collected.instances
    return {
        uid: summary for uid, summary in collected.instances.items() if uid not in known.instances
    }


def new_numbers(added: Mapping[str, InstanceSummary]) -> set[int]:
    """Return the Instance Numbers of instances that have one."""
    return {each.instance_number for each in added.values() if each.instance_number is not None}


def _ranges_of(added: Mapping[str, InstanceSummary]) -> list[NumberRange]:
    """Return the Instance Numbers as ranges.

    An instance whose number cannot be read may be any of those that are missing: nobody can say
    then that one is.
    """
    if any(each.instance_number is None for each in added.values()):
        return [ANY_NUMBER]
    return ranges_of(new_numbers(added))


def _added_conflicts(known: KnownSeries, collected: CollectedSeries) -> frozenset[InstanceCopy]:
    """Other contents of known instances, and further contents of any, that are not known."""
    found = {
        InstanceCopy(uid, collected.instances[uid].digest)
        for uid in known.instances
        if uid in collected.instances
    }
    found.update(collected.conflicting_copies)
    return frozenset(found - known.copies)


def _nothing(collected: CollectedSeries) -> SeriesSummary:
    return SeriesSummary(
        series_instance_uid=collected.series_instance_uid,
        revision=0,
        instances=0,
        size=0,
        identities=IdentityGroups(),
        inconsistent_attributes=frozenset(),
        conflicting_instances=(),
        damaged_instances=(),
        first_instance_at=collected.first_instance_at,
        last_instance_at=collected.last_instance_at,
        closed_at=collected.last_instance_at,
    )


def _listed(uids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(uids)[:MAX_LISTED])
