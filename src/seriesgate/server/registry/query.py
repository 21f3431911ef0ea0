"""Which series are wanted. Pure: what a route asks for and every store understands.

A condition names an attribute by its DICOM keyword (PS3.6). Values are compared as DICOM compares
them: spaces at the ends don't count, names are matched in any case (PS3.4 C.2.2.2), and no more
than the first characters of a value do (see `keys`), which are all that DICOM allows it to have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Attribute(StrEnum):
    """What a condition can be about."""

    SERIES = "SeriesInstanceUID"
    STUDY = "StudyInstanceUID"
    PATIENT_ID = "PatientID"
    PATIENT_NAME = "PatientName"
    ACCESSION_NUMBER = "AccessionNumber"
    STUDY_DATE = "StudyDate"
    GATEWAY = "Gateway"
    MODALITY = "Modality"
    SERIES_NUMBER = "SeriesNumber"
    SERIES_DESCRIPTION = "SeriesDescription"
    STUDY_DESCRIPTION = "StudyDescription"
    BODY_PART = "BodyPartExamined"
    MANUFACTURER = "Manufacturer"
    #: The modality of any series of the same study.
    MODALITIES_IN_STUDY = "ModalitiesInStudy"


class Level(Enum):
    """What is listed: every series, or of each study or patient the series that came first."""

    SERIES = "series"
    STUDY = "study"
    PATIENT = "patient"


class SortBy(StrEnum):
    """What a list can be sorted by; RECEIVED is the time of the first report."""

    RECEIVED = "ReceivedAt"
    PATIENT_NAME = "PatientName"
    PATIENT_ID = "PatientID"
    STUDY_DATE = "StudyDate"
    INSTANCES = "InstancesInSeries"


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list. Series of the same value are in the order of arrival, either way."""

    by: SortBy = SortBy.RECEIVED
    descending: bool = True


NEWEST_FIRST = Order()
OLDEST_FIRST = Order(descending=False)


@dataclass(frozen=True, slots=True)
class OneOf:
    """The attribute has one of these values."""

    attribute: Attribute
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """The attribute matches a pattern: `*` is any text, `?` any character (PS3.4 C.2.2.2.4)."""

    attribute: Attribute
    pattern: str

    @property
    def prefix(self) -> str:
        """The text before the first wildcard."""
        return re.split(r"[*?]", self.pattern, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Between:
    """The attribute is text from `first` to `last`, both included; empty `last` means no end."""

    attribute: Attribute
    first: str
    last: str


Condition = OneOf | Wildcard | Between

#: What a list can be led by, the most selective first.
LEADING = (
    Attribute.STUDY,
    Attribute.ACCESSION_NUMBER,
    Attribute.PATIENT_ID,
    Attribute.PATIENT_NAME,
    Attribute.STUDY_DATE,
    Attribute.GATEWAY,
    Attribute.MODALITY,
)


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Series that meet every condition, contain `text`, and came in the given time.

    `text` is looked for, in any case, in the names, IDs and descriptions of a series. `level` says
    whether each series counts, or the first of each study or patient only: then it is this first
    one that has to meet the conditions.
    """

    conditions: tuple[Condition, ...] = ()
    text: str = ""
    received_from: datetime | None = None
    received_before: datetime | None = None
    level: Level = Level.SERIES

    @property
    def leading(self) -> Condition | None:
        """The condition that leaves the fewest series: one of values before a range of them.

        The list is in the order of what a range leads: of names, dates and so on, downwards.
        """
        for attribute in (Attribute.SERIES, *LEADING):
            for condition in self.conditions:
                if condition.attribute is attribute and isinstance(condition, OneOf):
                    return condition
        for attribute in LEADING:
            for condition in self.conditions:
                if condition.attribute is attribute and _is_range(condition):
                    return condition
        return None


def _is_range(condition: Condition) -> bool:
    match condition:
        case Wildcard():
            return bool(condition.prefix.strip(" "))
        case Between():
            return True
        case OneOf():
            return False
