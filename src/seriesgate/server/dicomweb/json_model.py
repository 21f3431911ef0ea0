"""Series and studies in the DICOM JSON model (PS3.18 annex F). Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from seriesgate.server.dicomweb.attributes import ATTRIBUTES, ResourceLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seriesgate.server.registry.store import StoredSeries, StudySummary

_DATE = re.compile(r"[0-9]{8}")
_SPECIFIC_CHARACTER_SET = "00080005"
#: Nothing can be retrieved from this server: it has no instances (PS3.3 C.4.23.1.1).
_AVAILABILITY = "UNAVAILABLE"
_STUDY = frozenset({ResourceLevel.STUDY})
_SERIES = frozenset({ResourceLevel.SERIES})
_BOTH = _STUDY | _SERIES


def study_object(study: StudySummary, included: Iterable[str] = ()) -> dict[str, Any]:
    """Give a study with the attributes of every answer and those that are asked for besides."""
    values = vars(study) | {"InstanceAvailability": _AVAILABILITY}
    return _object(values, _attributes(_STUDY, _STUDY, frozenset(included)))


def series_object(
    series: StoredSeries, study: StudySummary, included: Iterable[str] = (), *, with_study: bool
) -> dict[str, Any]:
    """Give a series, with the attributes of its study where the request did not name it."""
    values = (
        vars(study)
        | {name: value for name, value in vars(series).items() if value is not None}
        | {
            "InstanceAvailability": _AVAILABILITY,
            "NumberOfSeriesRelatedInstances": series.InstancesInSeries,
        }
    )
    default = _BOTH if with_study else _SERIES
    # PS3.18 table 10.6.3-4 has the study with every series.
    included = frozenset(included) | {"StudyInstanceUID"}
    return _object(values, _attributes(default, _BOTH, included))


@lru_cache(64)
def _attributes(
    default: frozenset[ResourceLevel],
    possible: frozenset[ResourceLevel],
    included: frozenset[str],
) -> tuple[tuple[str, str, str], ...]:
    """Give keyword, tag and VR of what an answer has, in the order of the tags."""
    wanted = (
        (each.tag, each.keyword, each.vr)
        for each in ATTRIBUTES
        if (each.is_default and each.level in default)
        or (each.keyword in included and each.level in possible)
    )
    return tuple((keyword, tag, vr) for tag, keyword, vr in sorted(wanted))


def _object(
    values: Mapping[str, Any], attributes: tuple[tuple[str, str, str], ...]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    is_ascii = True
    for keyword, tag, vr in attributes:
        value = values.get(keyword)
        if not (given := _value(vr, value)):
            result[tag] = {"vr": vr}
            continue
        result[tag] = {"vr": vr, "Value": given}
        is_ascii = is_ascii and _is_ascii(value)
    if is_ascii:
        return result
    # Required when there is any other text than ASCII (PS3.18 F.2: it is always UTF-8 then).
    return {_SPECIFIC_CHARACTER_SET: {"vr": "CS", "Value": ["ISO_IR 192"]}} | result


def _is_ascii(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_ascii(each) for each in value)
    return not isinstance(value, str) or value.isascii()


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
