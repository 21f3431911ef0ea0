"""The SQL that finds series by what a filter says, in bounded time whatever it says.

A query walks along an index that has the series in the order of the list, so it never sorts and a
page starts where the one before ended. Where the list is in the order of arrival, one condition of
the filter leads: its index has its series in this order. The other conditions are tried on each
series along the way, on a bounded number of them a query; then the query gives what it found, and
the position where the next one goes on. Where few series meet one of the conditions there is a
shortcut: just these are read, and sorted (see `sql.few`).

Decided in ADR 15.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import literal, select, tuple_

from seriesgate.server.registry.keys import after_prefix, key
from seriesgate.server.registry.query import (
    NEWEST_FIRST,
    Attribute,
    OneOf,
    SortBy,
    Wildcard,
)
from seriesgate.server.registry.store import PagePosition, UnknownPosition
from seriesgate.server.sql.conditions import (
    FIRST,
    INDEXED,
    is_in_every_order,
    is_of_level,
    looks_elsewhere,
    may_look_elsewhere,
    tried_condition,
    tried_level,
    tried_text,
    tried_times,
    unindexed,
)
from seriesgate.server.sql.few import indexed_condition, shortcuts, the_few
from seriesgate.server.sql.search_bounds import DEFAULT_BOUNDS
from seriesgate.server.sql.tables import series_data, series_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from seriesgate.server.registry.query import Condition, Order, SeriesFilter
    from seriesgate.server.sql.search_bounds import SearchBounds

_INDEX = series_index.c
_ARRIVAL = (_INDEX.ReceivedAt, _INDEX.SeriesInstanceUID)
_SORTED = {
    SortBy.RECEIVED: (),
    SortBy.PATIENT_NAME: (_INDEX.NameKey,),
    SortBy.PATIENT_ID: (_INDEX.PatientKey,),
    SortBy.STUDY_DATE: (_INDEX.StudyDateKey,),
    SortBy.INSTANCES: (_INDEX.InstancesInSeries,),
}


@dataclass(frozen=True, slots=True)
class _Walk:
    """Along which index a query goes: the columns of its order, from `low` up to below `high`.

    `low` and `high` are values of those columns, or of the first of them; None is no limit.
    """

    order: tuple[ColumnElement[Any], ...]
    descending: bool
    fixed: tuple[ColumnElement[bool], ...] = ()
    low: tuple[Any, ...] | None = None
    high: tuple[Any, ...] | None = None


def find_positions(
    connection: Connection,
    wanted: SeriesFilter,
    limit: int,
    after: PagePosition | None,
    order: Order = NEWEST_FIRST,
    bounds: SearchBounds = DEFAULT_BOUNDS,
) -> tuple[list[PagePosition], PagePosition | None]:
    """Give at most `limit` positions of series after `after`, and from where on there may be more.

    Where a range of names or dates leads the filter, by these instead of by arrival. Raises
    UnknownPosition.
    """
    dialect = connection.dialect.name
    walk, tried = _plan(dialect, wanted, order)
    walk = walk if after is None else _after(walk, _with_key(connection, walk, after))
    if not tried:
        return _page(connection.execute(_statement(walk).limit(limit + 1)).all(), limit)
    possible = shortcuts(dialect, wanted) if bounds.has_shortcuts else []
    most, more_without = _most(wanted, bounds, is_short=bool(possible))
    rows, horizon = _stretch(connection, walk, tried, most, limit + 1)
    if possible and horizon is not None and len(rows) <= limit:
        few = the_few(connection, possible, bounds)
        if few is not None:
            rows = connection.execute(_sorted(walk, few, dialect, wanted).limit(limit + 1)).all()
            return _page(rows, limit)
        walk = _after(walk, tuple(horizon))
        more, horizon = _stretch(connection, walk, tried, more_without, limit + 1 - len(rows))
        rows = [*rows, *more]
    if horizon is None or len(rows) > limit:
        return _page(rows, limit)
    return [_position(row) for row in rows], _position(horizon)


def _stretch(
    connection: Connection, walk: _Walk, tried: list[ColumnElement[bool]], most: int, limit: int
) -> tuple[Sequence[Row[Any]], Row[Any] | None]:
    """Give at most `limit` of the next `most` series, and the last that was looked at of these.

    None for that where they are all there are.
    """
    horizon = _horizon(connection, walk, most)
    stretch = walk if horizon is None else _up_to(walk, tuple(horizon))
    return connection.execute(_statement(stretch).where(*tried).limit(limit)).all(), horizon


def _page(rows: Sequence[Row[Any]], limit: int) -> tuple[list[PagePosition], PagePosition | None]:
    found = [_position(row) for row in rows[:limit]]
    return found, found[-1] if len(rows) > limit else None


def _position(row: Row[Any]) -> PagePosition:
    *keys, received_at, series_instance_uid = tuple(row)
    return PagePosition(received_at, series_instance_uid, *keys)


def _most(wanted: SeriesFilter, bounds: SearchBounds, *, is_short: bool) -> tuple[int, int]:
    """Give how many series a query looks at, and how many more where there is no shortcut."""
    if looks_elsewhere(wanted):
        return bounds.elsewhere, 2 * bounds.elsewhere
    if is_in_every_order(wanted):
        return bounds.in_an_index, 2 * bounds.in_an_index
    if may_look_elsewhere(wanted):
        return bounds.before_a_shortcut, 2 * bounds.before_a_shortcut
    if is_short:
        return bounds.before_a_shortcut, bounds.without_a_shortcut
    return bounds.examined, 0


def _horizon(connection: Connection, walk: _Walk, most: int) -> Row[Any] | None:
    """Give the last series that this query looks at, None where it looks at all there are."""
    return connection.execute(_statement(walk).offset(most - 1).limit(1)).one_or_none()


def _statement(walk: _Walk) -> Select[Any]:
    order = [column.desc() if walk.descending else column for column in walk.order]
    return select(*walk.order).where(*walk.fixed, *_limits(walk, walk.order)).order_by(*order)


def _sorted(
    walk: _Walk, few: ColumnElement[bool], dialect: str, wanted: SeriesFilter
) -> Select[Any]:
    """Give the query for those few series that are wanted, in the order of the walk."""
    columns = tuple(unindexed(column) for column in walk.order)
    order = [column.desc() if walk.descending else column for column in columns]
    statement = select(*walk.order).where(few, *_limits(walk, columns)).order_by(*order)
    conditions = [tried_condition(dialect, each) for each in wanted.conditions]
    if wanted.text:
        conditions.append(tried_text(wanted.text))
    return statement.where(*conditions, *tried_times(wanted), *tried_level(wanted.level))


def _limits(walk: _Walk, columns: tuple[ColumnElement[Any], ...]) -> list[ColumnElement[bool]]:
    limits: list[ColumnElement[bool]] = []
    for values, is_low in ((walk.low, True), (walk.high, False)):
        if values is not None:
            row = _row(columns[: len(values)])
            limit = _row([literal(v, c.type) for v, c in zip(values, walk.order, strict=False)])
            limits.append(row >= limit if is_low else row < limit)
    return limits


def _row(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple_(*values)


def _with_key(connection: Connection, walk: _Walk, position: PagePosition) -> tuple[Any, ...]:
    """Give the values of a position in the order of the walk; those that a cursor lacks are read.

    A cursor has no text of a patient in it. A series that has changed meanwhile is where it is now.
    """
    arrival = (position.received_at, position.series_instance_uid)
    if len(walk.order) == len(arrival):
        return arrival
    if isinstance(position.key, walk.order[0].type.python_type):
        return (position.key, *arrival)
    one = select(walk.order[0]).where(*(c == v for c, v in zip(_ARRIVAL, arrival, strict=True)))
    row = connection.execute(one).one_or_none()
    if row is None:
        raise UnknownPosition("ends at a series that is not there any more: begin the list anew")
    return (row[0], *arrival)


def _after(walk: _Walk, values: tuple[Any, ...]) -> _Walk:
    if walk.descending:
        return replace(walk, high=values)
    return replace(walk, low=_just_after(values))


def _up_to(walk: _Walk, last: tuple[Any, ...]) -> _Walk:
    if walk.descending:
        return replace(walk, low=last)
    return replace(walk, high=_just_after(last))


def _just_after(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give the least values that are greater: no UID has a control character."""
    return (*values[:-1], values[-1] + "\x01")


def _plan(
    dialect: str, wanted: SeriesFilter, order: Order
) -> tuple[_Walk, list[ColumnElement[bool]]]:
    """Choose the index to walk along; give what is left to be tried on each series."""
    leading = wanted.leading if order.by is SortBy.RECEIVED else None
    led = [] if leading is None else [leading, *_led_as_well(leading, wanted)]
    tried = [
        tried_condition(dialect, each)
        for each in wanted.conditions
        if not any(each is other for other in led)
    ]
    if wanted.text:
        tried.append(tried_text(wanted.text))
    if leading is not None and isinstance(leading, OneOf) and is_of_level(leading, wanted.level):
        # Of each study or patient that is named there is one first series, and an index of these.
        walk = _led_walk(led, descending=order.descending, column=FIRST[wanted.level])
    elif leading is not None:
        walk = _led_walk(led, descending=order.descending)
        if isinstance(leading, Wildcard) and not _is_prefix(leading):
            tried.append(tried_condition(dialect, leading))
        tried += tried_level(wanted.level)
    else:
        walk = _Walk((*_SORTED[order.by], *_ARRIVAL), order.descending)
        if len(walk.order) > len(_ARRIVAL):
            tried += tried_level(wanted.level)
        elif wanted.level in FIRST:
            walk = replace(walk, fixed=(FIRST[wanted.level].is_not(None),))
    if len(walk.order) > len(_ARRIVAL):
        return walk, tried + tried_times(wanted)
    low = None if wanted.received_from is None else (wanted.received_from, "")
    high = None if wanted.received_before is None else (wanted.received_before, "")
    return replace(walk, low=low, high=high), tried


def _led_as_well(leading: Condition, wanted: SeriesFilter) -> list[Condition]:
    """Give the condition that has an index together with the one that leads."""
    if leading.attribute is not Attribute.GATEWAY or not _is_one(leading):
        return []
    return [
        each for each in wanted.conditions if each.attribute is Attribute.MODALITY and _is_one(each)
    ][:1]


def _is_one(condition: Condition) -> bool:
    return isinstance(condition, OneOf) and len(condition.values) == 1


def _led_walk(
    led: list[Condition], *, descending: bool, column: ColumnElement[str] | None = None
) -> _Walk:
    """Give the walk that conditions lead; by `column` where it is one of values."""
    leading = led[0]
    if leading.attribute is Attribute.SERIES and isinstance(leading, OneOf):
        uids = select(series_data.c.ReceivedAt, series_data.c.SeriesInstanceUID).where(
            series_data.c.SeriesInstanceUID.in_(leading.values)
        )
        return _Walk(_ARRIVAL, descending, (tuple_(*_ARRIVAL).in_(uids),))
    if isinstance(leading, OneOf):
        fixed = [indexed_condition(each, column) for each in led]
        return _Walk(_ARRIVAL, descending, tuple(each for each in fixed if each is not None))
    column = INDEXED[leading.attribute]
    if isinstance(leading, Wildcard):
        first = last = key(leading.attribute, leading.prefix)
    else:
        first, last = leading.first, leading.last
    end = after_prefix(last)
    return _Walk((column, *_ARRIVAL), descending, (), (first,), None if end is None else (end,))


def _is_prefix(condition: Wildcard) -> bool:
    whole, prefix = (
        key(condition.attribute, each) for each in (condition.pattern, condition.prefix)
    )
    return whole == prefix + "*"
