"""The conditions of a filter in SQL, as they are tried on one series, whatever else finds it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, Text, and_, cast, exists, func, literal, or_

from seriesgate.server.registry.keys import KEY_LENGTH, after_prefix, folded, key, searched_text
from seriesgate.server.registry.query import Attribute, Between, Level, OneOf, Wildcard
from seriesgate.server.sql.column_types import UtcDateTime
from seriesgate.server.sql.tables import series_data, series_index

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from seriesgate.server.registry.query import Condition, SeriesFilter

_INDEX = series_index.c
#: The columns of what has an index of its own.
INDEXED = {
    Attribute.STUDY: _INDEX.StudyInstanceUID,
    Attribute.ACCESSION_NUMBER: _INDEX.AccessionKey,
    Attribute.PATIENT_ID: _INDEX.PatientKey,
    Attribute.PATIENT_NAME: _INDEX.NameKey,
    Attribute.STUDY_DATE: _INDEX.StudyDateKey,
    Attribute.GATEWAY: _INDEX.GatewayKey,
    Attribute.MODALITY: _INDEX.ModalityKey,
}
_IN_INDEX = {Attribute.SERIES: _INDEX.SeriesInstanceUID, **INDEXED}
_IN_ORDERS = {Attribute.MODALITY, Attribute.GATEWAY}
_NO_TIME = datetime.min.replace(tzinfo=UTC)
#: The columns that are not NULL for the series that came first.
FIRST = {Level.STUDY: _INDEX.FirstOfStudy, Level.PATIENT: _INDEX.FirstOfPatient}
_NAMES = {Level.STUDY: Attribute.STUDY, Level.PATIENT: Attribute.PATIENT_ID}


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Give a column in a form that has no index, so that no database goes along another one."""
    none: Any = ""
    if isinstance(column.type, UtcDateTime):
        none = _NO_TIME
    elif isinstance(column.type, Integer):
        none = 0
    return func.coalesce(column, literal(none, column.type))


def looks_elsewhere(wanted: SeriesFilter) -> bool:
    """Return whether a condition looks up each series in another place."""
    return any(
        each.attribute not in _IN_INDEX and not searched_text(each) for each in wanted.conditions
    )


def may_look_elsewhere(wanted: SeriesFilter) -> bool:
    """Return whether a condition looks up the series whose text can meet it; it may be in each."""
    return any(each.attribute not in _IN_INDEX for each in wanted.conditions)


def is_in_every_order(wanted: SeriesFilter) -> bool:
    """Return whether an index of any order has all that is tried on a series."""
    return (
        not wanted.text
        and wanted.level is Level.SERIES
        and all(each.attribute in _IN_ORDERS for each in wanted.conditions)
    )


def tried_condition(dialect: str, condition: Condition) -> ColumnElement[bool]:
    """Give a condition."""
    attribute = condition.attribute
    if attribute is Attribute.MODALITIES_IN_STUDY:
        other = series_index.alias("other")
        return exists().where(
            other.c.StudyInstanceUID == _INDEX.StudyInstanceUID,
            _tried(dialect, condition, other.c.ModalityKey),
        )
    if attribute in _IN_INDEX:
        return _tried(dialect, condition, _IN_INDEX[attribute])
    text = cast(series_data.c[attribute], Text)
    found = exists().where(
        series_data.c.SeriesInstanceUID == _INDEX.SeriesInstanceUID,
        _tried(dialect, condition, func.substr(_composed(dialect, func.trim(text)), 1, KEY_LENGTH)),
    )
    # Only where it can be so is the series looked up.
    searched = searched_text(condition)
    return and_(_contains(searched), found) if searched else found


def _composed(dialect: str, text: ColumnElement[str]) -> ColumnElement[str]:
    """Compose a text as `registry.keys.composed` does."""
    # PostgreSQL's own gives Normalization Form C; SQLite has ours (see `sql.sqlite`).
    return func.composed(text) if dialect == "sqlite" else func.normalize(text)


def tried_text(text: str) -> ColumnElement[bool]:
    """Give whether a series contains a text, in any case: both sides are case folded alike."""
    return _contains(folded(text))


def _contains(text: str) -> ColumnElement[bool]:
    contains: ColumnElement[bool] = _INDEX.SearchText.contains(text, autoescape=True)
    return contains


def tried_times(wanted: SeriesFilter) -> list[ColumnElement[bool]]:
    """Give the conditions on the time of arrival."""
    received_at = unindexed(_INDEX.ReceivedAt)
    tried: list[ColumnElement[bool]] = []
    if wanted.received_from is not None:
        tried.append(received_at >= wanted.received_from)
    if wanted.received_before is not None:
        tried.append(received_at < wanted.received_before)
    return tried


def is_of_level(condition: Condition, level: Level) -> bool:
    """Return whether a condition is about what names a study or patient, and these are listed."""
    return condition.attribute is _NAMES.get(level)


def tried_level(level: Level) -> list[ColumnElement[bool]]:
    """Give whether a series is the first of its study or patient, where only these are wanted."""
    # As text that has no index: see unindexed.
    return [FIRST[level].concat("").is_not(None)] if level in FIRST else []


def _tried(dialect: str, condition: Condition, column: ColumnElement[Any]) -> ColumnElement[bool]:
    column = unindexed(column)
    match condition:
        case OneOf(attribute, values):
            return or_(*(column == key(attribute, value) for value in values))
        case Wildcard(attribute, pattern):
            return _matches(dialect, column, key(attribute, pattern))
        case Between(_, first, last):
            end = after_prefix(last)
            return and_(column >= first, column < end) if end is not None else column >= first


def _matches(dialect: str, column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Match with regard to case: SQLite's LIKE has none, its GLOB does."""
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    escaped = "".join("\\" + each if each in "\\%_" else each for each in pattern)
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")
