"""QIDO-RS requests (PS3.18 10.6, 8.3.4): from query parameters to a filter. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seriesgate.series.uid import is_uid
from seriesgate.server.dicomweb.attributes import BY_NAME, DicomAttribute, ResourceLevel
from seriesgate.server.registry.query import (
    Attribute,
    Between,
    Condition,
    Level,
    OneOf,
    SeriesFilter,
    Wildcard,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LIMIT = 1000
_DEFAULT_LIMIT = 100
_MAX_OFFSET = 1_000_000
_MAX_VALUE = 1024
_MAX_UIDS = 100

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}|[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"[0-9]{1,7}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_UID = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}")
_DATE = re.compile(r"[0-9]{8}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: Those that may have wildcards (PS3.4 C.2.2.2.4); the others here are dates, numbers and UIDs.
_WILDCARD_VRS = frozenset({"CS", "LO", "PN", "SH"})
#: A study without a date matches no range (PS3.4 C.2.2.2.5): empty text comes before this.
_FIRST_DATE = "0"


class BadQuery(ValueError):
    """The request is badly formed. `parameter` is its name if it is one of ours, else empty."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class QidoQuery:
    """A search: what is wanted, which attributes the answer shall have, and which part of it."""

    wanted: SeriesFilter
    included: frozenset[str]
    limit: int
    offset: int
    fuzzy_matching: bool


def read_query(
    parameters: Iterable[tuple[str, str]],
    level: ResourceLevel,
    study_instance_uid: str | None = None,
) -> QidoQuery:
    """Give the search for resources of `level`, of one study if it is named.

    An empty value matches all (PS3.4 C.2.2.2.3). Raises BadQuery for what can't be answered: a
    condition that was left out silently would give more patients than were asked for.
    """
    conditions: list[Condition] = []
    included: set[str] = set()
    single: dict[str, str] = {}
    for given, value in parameters:
        name = _tag_or_keyword(given)
        if name in {"limit", "offset", "fuzzymatching"} or name in BY_NAME:
            known = BY_NAME[name].keyword if name in BY_NAME else name
            if known in single:
                raise BadQuery(known, "Is given twice")
            single[known] = value
        elif name == "includefield":
            included |= _included(value)
        elif name in {"emptyvaluematching", "multiplevaluematching"}:
            if _boolean(name, value):
                raise BadQuery(name, "Is not supported")
        else:
            raise BadQuery("", "There is a parameter that is not known, or can't be matched")
    limit = _number("limit", single.pop("limit", str(_DEFAULT_LIMIT)))
    offset = _number("offset", single.pop("offset", "0"))
    fuzzy = _boolean("fuzzymatching", single.pop("fuzzymatching", "false"))
    if study_instance_uid is not None:
        conditions.append(OneOf(Attribute.STUDY, (study_instance_uid,)))
    for keyword, value in single.items():
        if condition := _condition(BY_NAME[keyword], value, level):
            conditions.append(condition)
    if limit == 0 or offset > _MAX_OFFSET:
        raise BadQuery("offset" if limit else "limit", "Is outside its range")
    of_level = Level.STUDY if level is ResourceLevel.STUDY else Level.SERIES
    wanted = SeriesFilter(tuple(conditions), level=of_level)
    return QidoQuery(wanted, frozenset(included), min(limit, MAX_LIMIT), offset, fuzzy)


def _included(value: str) -> set[str]:
    """Give the keywords; what is no attribute of ours is left out, as DICOM allows."""
    names = [name.strip() for name in value.split(",")]
    if any(not _NAME.fullmatch(name) for name in names):
        raise BadQuery("includefield", "Must be `all`, keywords or tags")
    if "all" in names:
        return {attribute.keyword for attribute in BY_NAME.values()}
    return {BY_NAME[key].keyword for name in names if (key := _tag_or_keyword(name)) in BY_NAME}


def _tag_or_keyword(name: str) -> str:
    return name.upper() if name[:1].isdigit() else name


def _condition(attribute: DicomAttribute, value: str, level: ResourceLevel) -> Condition | None:
    name = attribute.keyword
    if len(value) > _MAX_VALUE or _CONTROL.search(value):
        raise BadQuery(name, "Is too long, or has a control character")
    value = value.strip(" ")
    if not value or value == "*":
        return None
    if attribute.matched is None or (
        level is ResourceLevel.STUDY and attribute.level is ResourceLevel.SERIES
    ):
        raise BadQuery(name, "Can't be matched in this search")
    match attribute.vr:
        case "UI":
            return OneOf(attribute.matched, _uids(name, value))
        case "DA":
            return _dates(attribute.matched, value)
        case "IS":
            if not _INTEGER.fullmatch(value):
                raise BadQuery(name, "Must be an integer")
            return OneOf(attribute.matched, (str(int(value)),))
        case vr if vr in _WILDCARD_VRS and ("*" in value or "?" in value):
            return Wildcard(attribute.matched, value)
        case _:
            return OneOf(attribute.matched, (value,))


def _uids(name: str, value: str) -> tuple[str, ...]:
    """Give the UIDs of a list: PS3.18 8.3.4.1 separates them by commas, PS3.4 by backslashes."""
    uids = tuple(uid.strip(" ") for uid in re.split(r"[,\\]", value))
    if len(uids) > _MAX_UIDS or any(not _UID.fullmatch(uid) for uid in uids):
        raise BadQuery(name, f"Must be at most {_MAX_UIDS} UIDs")
    # What is no UID may have a comma in it.
    is_list = len(uids) == 1 or all(is_uid(uid) for uid in uids)
    return uids if is_list else (*uids, value)


def _dates(matched: Attribute, value: str) -> Condition:
    """Give the condition for a date or a range of dates (PS3.4 C.2.2.2.5)."""
    first, dash, last = value.partition("-")
    if not (first or last) or any(each and not _DATE.fullmatch(each) for each in (first, last)):
        raise BadQuery(matched.value, "Must be YYYYMMDD, or a range such as 20260101-20260131")
    if not dash:
        return OneOf(matched, (first,))
    return Between(matched, first or _FIRST_DATE, last)


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise BadQuery(name, "Must be a number")
    return int(value)


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise BadQuery(name, "Must be true or false")
    return value == "true"
