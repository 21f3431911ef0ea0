"""Example values that tests of several floors use."""

from __future__ import annotations

from datetime import UTC, datetime

from seriesgate.series.model import CollectedSeries, Instance, InstanceHeader, InstanceSummary
from seriesgate.series.report import Series

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def header(
    sop: str = "1.1", series: str = "1.2", study: str = "1.3", number: int | None = None
) -> InstanceHeader:
    return InstanceHeader(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=sop,
        study_instance_uid=study,
        series_instance_uid=series,
        patient_id=b"A/17",
        instance_number=number,
    )


def instance(
    sop: str = "1.1",
    series: str = "1.2",
    *,
    number: int | None = None,
    size: int = 100,
    at: datetime = AT,
    is_conflict: bool = False,
) -> Instance:
    return Instance(header(sop, series, number=number), "MODALITY", size, at, is_conflict)


def collected(
    *sops: str, series: str = "1.2", conflicts: frozenset[str] = frozenset()
) -> CollectedSeries:
    return CollectedSeries(
        series_instance_uid=series,
        study_instance_uid="1.3",
        calling_ae_title="MODALITY",
        instances={sop: InstanceSummary(100, number) for number, sop in enumerate(sops, 1)},
        conflicting_instances=conflicts,
        first_instance_at=AT,
        last_instance_at=AT,
    )


def report(series: str = "1.2", count: int = 1, revision: int = 1) -> Series:
    return Series(
        SeriesInstanceUID=series,
        PatientName="Doe^Jane",
        PatientID="A/17",
        StudyInstanceUID="1.3",
        InstancesInSeries=count,
        Revision=revision,
    )
