"""Series and studies in the DICOM JSON model (PS3.18 annex F). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from seriesgate.server.dicomweb.attributes import ATTRIBUTES, ResourceLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seriesgate.server.registry.store import StoredSeries, StudySummary

_DATE = re.compile(r"[0-9]{8}")
_SPECIFIC_CHARACTER_SET = "00080005"
#: Nothing can be retrieved from this server: it has no instances (PS3.3 C.4.23.1.1).
_AVAILABILITY = "UNAVAILABLE"


def study_object(study: StudySummary, included: Iterable[str] = ()) -> dict[str, Any]:
    """Give a study with the attributes of every answer and those that are asked for besides."""
    values = study.model_dump() | {"InstanceAvailability": _AVAILABILITY}
    return _object(values, {ResourceLevel.STUDY}, {ResourceLevel.STUDY}, set(included))


def series_object(
    series: StoredSeries, study: StudySummary, included: Iterable[str] = (), *, with_study: bool
) -> dict[str, Any]:
    """Give a series, with the attributes of its study where the request did not name it."""
    values = (
        study.model_dump()
        | {name: getattr(series, name) for name in ("PatientName", "PatientID", "StudyDate")}
        | series.model_dump(exclude_none=True)
        | {
            "InstanceAvailability": _AVAILABILITY,
            "NumberOfSeriesRelatedInstances": series.InstancesInSeries,
        }
    )
    both = {ResourceLevel.STUDY, ResourceLevel.SERIES}
    default = both if with_study else {ResourceLevel.SERIES}
    result = _object(values, default, both, set(included))
    # PS3.18 table 10.6.3-4 has the study with every series.
    result["0020000D"] = {"vr": "UI", "Value": [series.StudyInstanceUID]}
    return dict(sorted(result.items()))


def _object(
    values: Mapping[str, Any],
    default: set[ResourceLevel],
    possible: set[ResourceLevel],
    included: set[str],
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for attribute in ATTRIBUTES:
        is_default = attribute.is_default and attribute.level in default
        if is_default or (attribute.keyword in included and attribute.level in possible):
            value = _value(attribute.vr, values.get(attribute.keyword))
            result[attribute.tag] = {"vr": attribute.vr} | ({"Value": value} if value else {})
    # Required when there is any other text than ASCII (PS3.18 F.2: it is always UTF-8 then).
    if not str(result).isascii():
        result[_SPECIFIC_CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dict(sorted(result.items()))


def _value(vr: str, value: Any) -> list[Any]:
    """Give the values of an element; an empty one has none (PS3.18 F.2.5)."""
    match vr, value:
        case _, None | "" | []:
            return []
        case "PN", str():
            return _name(value)
        case "DA", str():
            return [value] if _DATE.fullmatch(value) else []
        case _, list():
            return value
        case _:
            return [value]


def _name(value: str) -> list[dict[str, str]]:
    """Give the groups of a name (PS3.18 F.2.2): alphabetic, ideographic and phonetic."""
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("=", 2), strict=False)
    name = {group: text for group, text in groups if text}
    return [name] if name else []
