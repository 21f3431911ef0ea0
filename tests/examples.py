"""Example values that tests of several floors use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from seriesgate.series.model import (
    CollectedSeries,
    Identity,
    Instance,
    InstanceHeader,
    InstanceSummary,
)
from seriesgate.series.report import Series

if TYPE_CHECKING:
    from collections.abc import Collection

    from seriesgate.series.model import InstanceCopy

DIGEST = b"\x01" * 16
OTHER = b"\x02" * 16
IDENTITY = Identity("1.3", b"A/17")
AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def header(
    sop: str = "1.1",
    series: str = "1.2",
    study: str = "1.3",
    number: int | None = None,
    patient_id: bytes = b"A/17",
) -> InstanceHeader:
    return InstanceHeader(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=sop,
        study_instance_uid=study,
        series_instance_uid=series,
        patient_id=patient_id,
        instance_number=number,
    )


def instance(
    sop: str = "1.1",
    series: str = "1.2",
    *,
    number: int | None = None,
    size: int = 100,
    at: datetime = AT,
    digest: bytes = DIGEST,
    is_recovered: bool = False,
    **header_attributes: Any,
) -> Instance:
    named = header(sop, series, number=number, **header_attributes)
    return Instance(named, "MODALITY", size, at, digest, is_recovered)


def summary(
    size: int = 100,
    number: int | None = None,
    digest: bytes = DIGEST,
    identity: Identity = IDENTITY,
) -> InstanceSummary:
    return InstanceSummary(size, number, digest, identity)


def collected(
    *sops: str,
    series: str = "1.2",
    digest: bytes = DIGEST,
    identity: Identity = IDENTITY,
    conflicting: Collection[InstanceCopy] = (),
    **attributes: Any,
) -> CollectedSeries:
    """A series whose instances are numbered from 1; `conflicting` are further copies of them."""
    plain = CollectedSeries(
        series_instance_uid=series,
        calling_ae_title="MODALITY",
        instances={
            sop: summary(100, number, digest, identity) for number, sop in enumerate(sops, 1)
        },
        conflicting_copies={
            copy: summary(100, None, copy.digest, identity) for copy in conflicting
        },
        calling_ae_titles={identity: "MODALITY"},
        recovered_copies=frozenset(),
        first_instance_at=AT,
        last_instance_at=AT,
    )
    return replace(plain, **attributes)


def report(series: str = "1.2", count: int = 1, revision: int = 1) -> Series:
    return Series(
        SeriesInstanceUID=series,
        PatientName="Doe^Jane",
        PatientID="A/17",
        StudyInstanceUID="1.3",
        InstancesInSeries=count,
        Revision=revision,
    )
