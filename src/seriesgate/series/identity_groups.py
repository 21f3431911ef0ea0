"""Whose series it is: its instances counted by the study and the patient that they name. Pure.

All must agree (PS3.3 A.1.2.3). Where they don't, the series is what most of them say, and the
others are strays.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seriesgate.series.description import SeriesDescription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seriesgate.series.model import Identity, InstanceSummary

#: How many missing instance numbers, conflicting, stray or damaged instances, one report names.
MAX_LISTED = 1000
#: How many identities of a series are remembered: where each instance is of another patient, too.
MAX_GROUPS = 16


@dataclass(frozen=True, slots=True)
class IdentityGroup:
    """The instances of a series that name the same study and patient.

    `members` names the first of them, up to MAX_LISTED, once a series has several groups.
    `calling_ae_title` sent the first. `description` is that of the latest closing of which an
    instance of the group could be read.
    """

    identity: Identity
    calling_ae_title: str
    instances: int = 0
    members: tuple[str, ...] = ()
    description: SeriesDescription = field(default_factory=SeriesDescription)


@dataclass(frozen=True, slots=True)
class IdentityGroups:
    """The groups of a series, in the order in which they came.

    `others` names instances, up to MAX_LISTED, whose groups are not remembered any more.
    """

    groups: tuple[IdentityGroup, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def majority(self) -> IdentityGroup:
        """The group of most instances; among equals, the one that came first."""
        return max(self.groups, key=lambda group: group.instances)

    def strays(self) -> list[str]:
        """Return the SOP Instance UIDs that are not of the majority, up to MAX_LISTED of them."""
        majority = self.majority
        groups = (group.members for group in self.groups if group is not majority)
        return sorted(itertools.islice(itertools.chain(*groups, self.others), MAX_LISTED))

    def knows(self, identity: Identity) -> bool:
        """Return whether this is the identity of one of the groups."""
        return any(group.identity == identity for group in self.groups)

    def described(self, description: SeriesDescription) -> IdentityGroups:
        """Return the groups with another description of the majority."""
        majority = self.majority
        groups = (
            replace(group, description=description) if group is majority else group
            for group in self.groups
        )
        return replace(self, groups=tuple(groups))

    def joined_by(
        self, added: Mapping[str, InstanceSummary], calling_ae_titles: Mapping[Identity, str]
    ) -> IdentityGroups:
        """Return the groups with more instances.

        Of too many, the majority and the largest others remain; of equals, those that came last: so
        a group that grows is not pushed out by many that don't.
        """
        uids: defaultdict[Identity, list[str]] = defaultdict(list)
        for uid, summary in added.items():
            uids[summary.identity].append(uid)
        known = {group.identity: group for group in self.groups}
        for identity in uids:
            if identity not in known:
                title = calling_ae_titles.get(identity, "")
                known[identity] = IdentityGroup(identity, title)
        is_divided = len(known) > 1 or bool(self.others)
        groups = tuple(
            _grown(group, uids[group.identity], is_named=is_divided)
            if group.identity in uids
            else group
            for group in known.values()
        )
        return _bounded(IdentityGroups(groups, self.others))


def disagreements(identities: Iterable[Identity]) -> frozenset[str]:
    """Return the keywords of the attributes on which identities differ."""
    studies, patients = set(), set()
    for identity in identities:
        studies.add(identity.study_instance_uid)
        patients.add(identity.patient_id)
    found = {"StudyInstanceUID": len(studies) > 1, "PatientID": len(patients) > 1}
    return frozenset(keyword for keyword, differs in found.items() if differs)


def _grown(group: IdentityGroup, uids: list[str], *, is_named: bool) -> IdentityGroup:
    room = MAX_LISTED - len(group.members) if is_named else 0
    return replace(
        group,
        instances=group.instances + len(uids),
        members=(*group.members, *uids[:room]),
    )


def _bounded(found: IdentityGroups) -> IdentityGroups:
    if len(found.groups) <= MAX_GROUPS:
        return found
    majority = found.majority
    kept = heapq.nlargest(
        MAX_GROUPS,
        enumerate(found.groups),
        key=lambda entry: (entry[1] is majority, entry[1].instances, entry[0]),
    )
    places = {place for place, _ in kept}
    dropped = (group.members for place, group in enumerate(found.groups) if place not in places)
    others = itertools.islice(itertools.chain(found.others, *dropped), MAX_LISTED)
    return IdentityGroups(
        tuple(group for place, group in enumerate(found.groups) if place in places),
        tuple(others),
    )
