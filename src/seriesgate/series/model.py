"""The values that travel through the gateway: an instance, and a series that has become quiet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from seriesgate.series.pauses import PauseHistogram


# Tuples where one is made for each instance: a frozen dataclass takes three times as long to make.
class InstanceHeader(NamedTuple):
    """What the head of a data set says about its instance, up to (0020,0013).

    The UIDs carry no padding. `sop_class_uid` may be empty: the command set names the class too.
    `patient_id` is the raw value of (0010,0020): its character set does not matter, for it is only
    compared. `instance_number` is None when absent or not an integer.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: bytes
    instance_number: int | None


class InstanceCopy(NamedTuple):
    """One content of one instance. Two copies of an instance contradict each other.

    `digest` is that of the transfer syntax and the data set.
    """

    sop_instance_uid: str
    digest: bytes


class Instance(NamedTuple):
    """One instance that is safely in the spool.

    `size` is that of the data set in bytes; `stored_at` is aware UTC. `is_recovered` says that an
    earlier run of the program received it; then it is not known from which address it came.
    """

    header: InstanceHeader
    calling_ae_title: str
    size: int
    stored_at: datetime
    digest: bytes
    is_recovered: bool = False
    calling_host: str = ""

    @property
    def copy(self) -> InstanceCopy:
        """What tells this copy of the instance from every other."""
        return InstanceCopy(self.header.sop_instance_uid, self.digest)


class Identity(NamedTuple):
    """Whose an instance says it is: its study, and the raw value of its PatientID.

    All instances of a series must agree on both (PS3.3 A.1.2.3).
    """

    study_instance_uid: str
    patient_id: bytes


class InstanceSummary(NamedTuple):
    """What is kept of an instance once it is counted.

    Its size in bytes, its Instance Number (0020,0013), its digest, and whose it says it is.
    """

    size: int
    instance_number: int | None
    digest: bytes
    identity: Identity


@dataclass(frozen=True, slots=True)
class CollectedSeries:
    """A series, or the late part of one, whose quiet period has passed.

    `instances` maps each distinct SOP Instance UID, in the order of their coming, to the summary of
    its first copy; `conflicting_copies` are the others. `calling_ae_title` and `calling_host` are
    those of the first instance; `calling_ae_titles` has that of the first of each identity.
    `recovered_copies` came in an earlier run; `damaged_instances` are those that did, and can't be
    read any more. The times are aware UTC. `pauses` are those between its instances, None if there
    were none to count.
    """

    series_instance_uid: str
    calling_ae_title: str
    instances: Mapping[str, InstanceSummary]
    conflicting_copies: Mapping[InstanceCopy, InstanceSummary]
    calling_ae_titles: Mapping[Identity, str]
    recovered_copies: AbstractSet[InstanceCopy]
    first_instance_at: datetime
    last_instance_at: datetime
    damaged_instances: frozenset[str] = frozenset()
    calling_host: str = ""
    pauses: PauseHistogram | None = None

    def copies(self) -> Iterator[InstanceCopy]:
        """Yield every copy of every instance."""
        for uid, summary in self.instances.items():
            yield InstanceCopy(uid, summary.digest)
        yield from self.conflicting_copies

    def identities(self) -> set[Identity]:
        """Return whose the instances, and all their copies, say they are."""
        found = {summary.identity for summary in self.instances.values()}
        found.update(summary.identity for summary in self.conflicting_copies.values())
        return found

    def without(self, damaged: AbstractSet[InstanceCopy]) -> CollectedSeries:
        """Return the series without the copies that are found damaged.

        Where another copy of such an instance is whole, that is the one that counts.
        """
        if not damaged:
            return self
        instances = {
            uid: summary
            for uid, summary in self.instances.items()
            if InstanceCopy(uid, summary.digest) not in damaged
        }
        conflicting = {}
        for copy, summary in self.conflicting_copies.items():
            if copy in damaged:
                continue
            if instances.setdefault(copy.sop_instance_uid, summary) is not summary:
                conflicting[copy] = summary
        lost = {copy.sop_instance_uid for copy in damaged} - instances.keys()
        return replace(
            self,
            instances=instances,
            conflicting_copies=conflicting,
            damaged_instances=frozenset(lost),
        )
