"""The DICOM attributes that a QIDO-RS answer can have (PS3.6, PS3.18 tables 10.6.3-3 and -4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from seriesgate.server.registry.query import Attribute


class ResourceLevel(Enum):
    """What an attribute belongs to, and what a search lists."""

    STUDY = "study"
    SERIES = "series"


@dataclass(frozen=True, slots=True)
class DicomAttribute:
    """An attribute: `matched` is what a condition on it is about, None if there can be none.

    `is_default` says whether it is in every answer of its level or must be asked for.
    """

    keyword: str
    tag: str
    vr: str
    level: ResourceLevel
    matched: Attribute | None = None
    is_default: bool = True


def _study(
    keyword: str, tag: str, vr: str, matched: Attribute | None = None, *, is_default: bool = True
) -> DicomAttribute:
    return DicomAttribute(keyword, tag, vr, ResourceLevel.STUDY, matched, is_default)


def _series(
    keyword: str, tag: str, vr: str, matched: Attribute | None = None, *, is_default: bool = True
) -> DicomAttribute:
    return DicomAttribute(keyword, tag, vr, ResourceLevel.SERIES, matched, is_default)


ATTRIBUTES = (
    _study("StudyDate", "00080020", "DA", Attribute.STUDY_DATE),
    _study("StudyTime", "00080030", "TM"),
    _study("AccessionNumber", "00080050", "SH", Attribute.ACCESSION_NUMBER),
    _study("InstanceAvailability", "00080056", "CS"),
    _study("ModalitiesInStudy", "00080061", "CS", Attribute.MODALITIES_IN_STUDY),
    _study("ReferringPhysicianName", "00080090", "PN"),
    _study("StudyDescription", "00081030", "LO", Attribute.STUDY_DESCRIPTION, is_default=False),
    _study("PatientName", "00100010", "PN", Attribute.PATIENT_NAME),
    _study("PatientID", "00100020", "LO", Attribute.PATIENT_ID),
    _study("PatientBirthDate", "00100030", "DA"),
    _study("PatientSex", "00100040", "CS"),
    _study("StudyInstanceUID", "0020000D", "UI", Attribute.STUDY),
    _study("StudyID", "00200010", "SH"),
    _study("NumberOfStudyRelatedSeries", "00201206", "IS"),
    _study("NumberOfStudyRelatedInstances", "00201208", "IS"),
    _series("Modality", "00080060", "CS", Attribute.MODALITY),
    _series("Manufacturer", "00080070", "LO", Attribute.MANUFACTURER, is_default=False),
    _series("SeriesDescription", "0008103E", "LO", Attribute.SERIES_DESCRIPTION),
    _series("BodyPartExamined", "00180015", "CS", Attribute.BODY_PART, is_default=False),
    _series("SeriesInstanceUID", "0020000E", "UI", Attribute.SERIES),
    _series("SeriesNumber", "00200011", "IS", Attribute.SERIES_NUMBER),
    _series("NumberOfSeriesRelatedInstances", "00201209", "IS"),
)

#: By keyword and by tag, as a request may name them (PS3.18 8.3.4.1).
BY_NAME = {
    name: attribute for attribute in ATTRIBUTES for name in (attribute.keyword, attribute.tag)
}
