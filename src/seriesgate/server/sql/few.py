"""The shortcut for what few series have: these few, instead of a walk past all the others.

A filter may have conditions that few series meet, and others that many do. Which is which no plan
can know beforehand; so each that has an index is asked whether more than `SearchBounds.few` series
meet it.

Decided in ADR 29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, any_, false, func, select

from seriesgate.server.registry.keys import after_prefix, contained_texts, key
from seriesgate.server.registry.query import Attribute, Between, OneOf, Wildcard
from seriesgate.server.sql.conditions import INDEXED
from seriesgate.server.sql.tables import series_index
from seriesgate.server.sql.text_index import are_in_many, numbers_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from seriesgate.server.registry.query import Condition, SeriesFilter
    from seriesgate.server.sql.search_bounds import SearchBounds

_INDEX = series_index.c


@dataclass(frozen=True, slots=True)
class Shortcut:
    """`only` is true of no series but of those that `counted` gives, through an index.

    All of these contain `texts`, where it is the index of texts.
    """

    only: ColumnElement[bool]
    counted: Select[Any]
    texts: Sequence[str] = ()


def shortcuts(dialect: str, wanted: SeriesFilter) -> list[Shortcut]:
    """Give the conditions that an index knows the series of."""
    return list(_shortcuts(dialect, wanted))


def the_few(
    connection: Connection, possible: list[Shortcut], bounds: SearchBounds
) -> ColumnElement[bool] | None:
    """Give the first shortcut to few series, None if there is none."""
    for shortcut in possible:
        if shortcut.texts and are_in_many(
            connection, shortcut.texts, bounds.sampled_from * bounds.few
        ):
            continue
        some = shortcut.counted.limit(bounds.few + 1).subquery()
        count = connection.execute(select(func.count()).select_from(some)).scalar_one()
        if count <= bounds.few:
            return shortcut.only if count else false()
    return None


def _shortcuts(dialect: str, wanted: SeriesFilter) -> Iterator[Shortcut]:
    for condition in wanted.conditions:
        if condition.attribute in INDEXED:
            only = indexed_condition(condition)
            if only is not None:
                yield Shortcut(only, select(_INDEX.SeriesInstanceUID).where(only))
    texts = contained_texts(wanted)
    numbers = numbers_with(dialect, texts)
    if numbers is not None:
        yield Shortcut(_is_among(dialect, _INDEX.Number, numbers), numbers, texts)
    times = _times(wanted)
    if times:
        yield Shortcut(and_(*times), select(_INDEX.SeriesInstanceUID).where(*times))
    for condition in wanted.conditions:
        if condition.attribute is Attribute.MODALITIES_IN_STUDY and isinstance(condition, OneOf):
            other = series_index.alias("few")
            studies = select(other.c.StudyInstanceUID).where(
                other.c.ModalityKey.in_(key(condition.attribute, each) for each in condition.values)
            )
            yield Shortcut(_is_among(dialect, _INDEX.StudyInstanceUID, studies), studies)


def indexed_condition(
    condition: Condition, column: ColumnElement[str] | None = None
) -> ColumnElement[bool] | None:
    """Give a condition in the form that its index can answer, None where it has no such form.

    `column` is one with the same values and another index.
    """
    if column is None:
        column = INDEXED[condition.attribute]
    match condition:
        case OneOf(attribute, values):
            keys = [key(attribute, value) for value in values]
            # Of one value the index has the series in order; those of several are sorted.
            return column == keys[0] if len(keys) == 1 else column.in_(keys)
        case Wildcard(attribute) if condition.prefix.strip(" "):
            prefix = key(attribute, condition.prefix)
            return _between(column, prefix, after_prefix(prefix))
        case Between(_, first, last):
            return _between(column, first, after_prefix(last))
        case _:
            return None


def _between(column: ColumnElement[str], first: str, end: str | None) -> ColumnElement[bool]:
    return column >= first if end is None else and_(column >= first, column < end)


def _times(wanted: SeriesFilter) -> list[ColumnElement[bool]]:
    times: list[ColumnElement[bool]] = []
    if wanted.received_from is not None:
        times.append(_INDEX.ReceivedAt >= wanted.received_from)
    if wanted.received_before is not None:
        times.append(_INDEX.ReceivedAt < wanted.received_before)
    return times


def _is_among(dialect: str, column: ColumnElement[Any], query: Select[Any]) -> ColumnElement[bool]:
    if dialect == "sqlite":
        return column.in_(query)
    # Not IN: PostgreSQL may take that for a reason to read a whole table.
    return column == any_(func.array(query.scalar_subquery()))
