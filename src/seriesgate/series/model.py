"""The values that travel through the gateway: an instance, and a series that has become quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class InstanceHeader:
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


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance that is safely in the spool.

    `size` is that of the data set in bytes; `stored_at` is aware UTC. `is_conflict` says that the
    spool already held its SOP Instance UID with other content.
    """

    header: InstanceHeader
    calling_ae_title: str
    size: int
    stored_at: datetime
    is_conflict: bool = False


@dataclass(frozen=True, slots=True)
class InstanceSummary:
    """What is kept of an instance once it is counted: its size in bytes and its number."""

    size: int
    instance_number: int | None


@dataclass(frozen=True, slots=True)
class CollectedSeries:
    """A series, or the late part of one, whose quiet period has passed.

    `instances` maps each distinct SOP Instance UID to its summary. `study_instance_uid` and
    `calling_ae_title` are those of the first instance; the times are aware UTC.
    """

    series_instance_uid: str
    study_instance_uid: str
    calling_ae_title: str
    instances: Mapping[str, InstanceSummary]
    conflicting_instances: frozenset[str]
    first_instance_at: datetime
    last_instance_at: datetime
