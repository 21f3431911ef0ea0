"""The SQL that finds series by what a filter says, in bounded time whatever it says.

One condition of a filter leads: the query walks the index that has its series in the order of the
list, so it never sorts and a page starts where the one before ended. The other conditions are
tried on each series along the way, on at most `EXAMINED` of them a query; then the query gives what
it found, and the position where the next one goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, cast, exists, func, literal, or_, select, tuple_

from seriesgate.server.keys import KEY_LENGTH, after_prefix, folded, key
from seriesgate.server.query import Attribute, Between, Level, OneOf, Wildcard
from seriesgate.server.store import PagePosition
from seriesgate.server.tables import series_data, series_index

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select

    from seriesgate.server.query import Condition, SeriesFilter

EXAMINED = 20_000
"""How many series one query looks at. A walk over so many takes some 20 ms."""
EXAMINED_ELSEWHERE = 1_000
"""The same where a condition has to look up each of them in another place."""

_INDEX = series_index.c
#: The columns of what has an index of its own.
_LEADING = {
    Attribute.STUDY: _INDEX.StudyInstanceUID,
    Attribute.ACCESSION_NUMBER: _INDEX.AccessionKey,
    Attribute.PATIENT_ID: _INDEX.PatientKey,
    Attribute.PATIENT_NAME: _INDEX.NameKey,
    Attribute.STUDY_DATE: _INDEX.StudyDateKey,
    Attribute.GATEWAY: _INDEX.GatewayKey,
    Attribute.MODALITY: _INDEX.ModalityKey,
}
_IN_INDEX = {Attribute.SERIES: _INDEX.SeriesInstanceUID, **_LEADING}
_FIRST = {Level.STUDY: _INDEX.FirstOfStudy, Level.PATIENT: _INDEX.FirstOfPatient}


@dataclass(frozen=True, slots=True)
class _Walk:
    """Along which index a query goes: the columns of its order, from `low` up to below `high`.

    `low` and `high` are values of those columns, or of the first of them; None is no limit.
    """

    order: tuple[ColumnElement[Any], ...]
    fixed: tuple[ColumnElement[bool], ...] = ()
    low: tuple[Any, ...] | None = None
    high: tuple[Any, ...] | None = None


def find_positions(
    connection: Connection,
    wanted: SeriesFilter,
    limit: int,
    after: PagePosition | None,
    *,
    oldest_first: bool = False,
) -> tuple[list[PagePosition], PagePosition | None]:
    """Give at most `limit` positions of series after `after`, and from where on there may be more.

    Newest first, unless the filter is led by a range of names or dates: then by these, downwards.
    """
    walk, tried = _plan(connection.dialect.name, wanted)
    walk = _from(walk, after, oldest_first=oldest_first)
    horizon = None
    if tried:
        elsewhere = any(each.attribute not in _IN_INDEX for each in wanted.conditions)
        most = EXAMINED_ELSEWHERE if elsewhere else EXAMINED
        far = _statement(walk, oldest_first=oldest_first).offset(most - 1).limit(1)
        horizon = connection.execute(far).one_or_none()
        if horizon is not None:
            walk = _up_to(walk, tuple(horizon), oldest_first=oldest_first)
    statement = _statement(walk, oldest_first=oldest_first).where(*tried).limit(limit + 1)
    rows = connection.execute(statement).all()
    found = [_position(row) for row in rows[:limit]]
    if len(rows) > limit:
        return found, found[-1]
    return found, None if horizon is None else _position(horizon)


def _statement(walk: _Walk, *, oldest_first: bool) -> Select[Any]:
    order = [column if oldest_first else column.desc() for column in walk.order]
    statement = select(*walk.order).where(*walk.fixed).order_by(*order)
    if walk.low is not None:
        statement = statement.where(_row(walk, walk.low) >= _values(walk, walk.low))
    if walk.high is not None:
        statement = statement.where(_row(walk, walk.high) < _values(walk, walk.high))
    return statement


def _row(walk: _Walk, values: tuple[Any, ...]) -> Any:
    return walk.order[0] if len(values) == 1 else tuple_(*walk.order[: len(values)])


def _values(walk: _Walk, values: tuple[Any, ...]) -> Any:
    literals = [literal(v, c.type) for v, c in zip(values, walk.order, strict=False)]
    return literals[0] if len(values) == 1 else tuple_(*literals)


def _position(row: Row[Any]) -> PagePosition:
    *keys, received_at, series_instance_uid = tuple(row)
    return PagePosition(received_at, series_instance_uid, *keys)


def _from(walk: _Walk, after: PagePosition | None, *, oldest_first: bool) -> _Walk:
    if after is None:
        return walk
    values: tuple[Any, ...] = (after.received_at, after.series_instance_uid)
    if len(walk.order) > len(values):
        values = (after.key, *values)
    if oldest_first:
        return _Walk(walk.order, walk.fixed, _just_after(values), walk.high)
    return _Walk(walk.order, walk.fixed, walk.low, values)


def _up_to(walk: _Walk, last: tuple[Any, ...], *, oldest_first: bool) -> _Walk:
    if oldest_first:
        return _Walk(walk.order, walk.fixed, walk.low, _just_after(last))
    return _Walk(walk.order, walk.fixed, last, walk.high)


def _just_after(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give the least values that are greater: no UID has a control character."""
    return (*values[:-1], values[-1] + "\x01")


def _plan(dialect: str, wanted: SeriesFilter) -> tuple[_Walk, list[ColumnElement[bool]]]:
    """Choose the index to walk along; give what is left to be tried on each series."""
    leading = wanted.leading
    tried = [_condition(dialect, each) for each in wanted.conditions if each is not leading]
    if wanted.text:
        # No column of an index: PostgreSQL and SQLite compare case folded text alike.
        tried.append(_INDEX.SearchText.contains(folded(wanted.text), autoescape=True))
    order = (_INDEX.ReceivedAt, _INDEX.SeriesInstanceUID)
    first = _FIRST.get(wanted.level)
    if leading is None:
        walk = _Walk(order, () if first is None else (first.is_not(None),))
    else:
        if first is not None:
            tried.append(first.concat("").is_not(None))  # has no index, see _unindexed
        walk = _led_walk(leading, order)
        if isinstance(leading, Wildcard) and not _is_prefix(leading):
            tried.append(_condition(dialect, leading))
    if len(walk.order) == len(order):
        return _received(walk, wanted), tried
    return walk, tried + _tried_times(wanted)


def _led_walk(leading: Condition, order: tuple[ColumnElement[Any], ...]) -> _Walk:
    if leading.attribute is Attribute.SERIES and isinstance(leading, OneOf):
        uids = select(series_data.c.ReceivedAt, series_data.c.SeriesInstanceUID).where(
            series_data.c.SeriesInstanceUID.in_(leading.values)
        )
        return _Walk(order, (tuple_(*order).in_(uids),))
    column = _LEADING[leading.attribute]
    match leading:
        case OneOf():
            values = [key(leading.attribute, value) for value in leading.values]
            # Of one value the index has the series in order; those of several are sorted.
            is_one = column == values[0] if len(values) == 1 else column.in_(values)
            return _Walk(order, (is_one,))
        case Wildcard():
            prefix = key(leading.attribute, leading.prefix)
            end = after_prefix(prefix)
            return _Walk((column, *order), (), (prefix,), None if end is None else (end,))
        case Between():
            last = after_prefix(leading.last)
            return _Walk((column, *order), (), (leading.first,), None if last is None else (last,))


def _is_prefix(condition: Wildcard) -> bool:
    whole, prefix = (
        key(condition.attribute, each) for each in (condition.pattern, condition.prefix)
    )
    return whole == prefix + "*"


def _received(walk: _Walk, wanted: SeriesFilter) -> _Walk:
    low = None if wanted.received_from is None else (wanted.received_from, "")
    high = None if wanted.received_before is None else (wanted.received_before, "")
    return _Walk(walk.order, walk.fixed, low, high)


def _tried_times(wanted: SeriesFilter) -> list[ColumnElement[bool]]:
    tried: list[ColumnElement[bool]] = []
    if wanted.received_from is not None:
        tried.append(_INDEX.ReceivedAt >= wanted.received_from)
    if wanted.received_before is not None:
        tried.append(_INDEX.ReceivedAt < wanted.received_before)
    return tried


def _unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """Give a column in a form that has no index, so that no database goes along another one."""
    return func.coalesce(column, "")


def _condition(dialect: str, condition: Condition) -> ColumnElement[bool]:
    """Give a condition as it is tried on one series."""
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
    return exists().where(
        series_data.c.SeriesInstanceUID == _INDEX.SeriesInstanceUID,
        _tried(dialect, condition, func.substr(func.trim(text), 1, KEY_LENGTH)),
    )


def _tried(dialect: str, condition: Condition, column: ColumnElement[Any]) -> ColumnElement[bool]:
    column = _unindexed(column)
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
