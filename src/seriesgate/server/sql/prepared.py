"""Statements that every group of reports runs, compiled once and not each time.

What SQLAlchemy does for a statement each time costs several times what a database does for a few
rows. Here the text of a statement is made once for each dialect, and goes straight to the driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection, CursorResult, Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.elements import ClauseElement


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text for one dialect. Of each parameter the name, and how the driver wants its value."""

    text: str
    parameters: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    is_positional: bool

    def values(self, row: Mapping[str, Any]) -> tuple[Any, ...] | dict[str, Any]:
        if self.is_positional:
            return tuple(
                row[name] if convert is None else convert(row[name])
                for name, convert in self.parameters
            )
        return {
            name: row[name] if convert is None else convert(row[name])
            for name, convert in self.parameters
        }


class Prepared:
    """A statement that gives nothing back, or rows as the driver has them.

    `columns` are those that an INSERT or UPDATE sets by the parameters of their names.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, *rows: Mapping[str, Any]) -> CursorResult[Any]:
        """Run it for each of `rows`, which have a value for each parameter."""
        compiled = self._compiled.get(connection.dialect.name)
        if compiled is None:
            compiled = self._compiled[connection.dialect.name] = self._compile(connection.dialect)
        return connection.exec_driver_sql(compiled.text, [compiled.values(row) for row in rows])

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled: SQLCompiler = self._statement.compile(  # type: ignore[assignment]
            dialect=dialect, column_keys=self._columns
        )
        conversions = {
            name: parameter.type.dialect_impl(dialect).bind_processor(dialect)
            for name, parameter in compiled.binds.items()
        }
        names = compiled.positiontup if compiled.positional else list(conversions)
        return _Compiled(
            str(compiled),
            tuple((name, conversions[name]) for name in names or ()),
            compiled.positional,
        )


class PreparedLookup:
    """Finds which values a column of texts has."""

    def __init__(self, column: Column[str]) -> None:
        self._column = column
        self._of_size: dict[int, Prepared] = {}

    def among(self, connection: Connection, values: Collection[str]) -> set[str]:
        """Give those of `values`, of which there are some, that the column has."""
        # Of few sizes, so that few are compiled: what is asked for twice is found once.
        size = 1 << (len(values) - 1).bit_length()
        names = [f"value{number}" for number in range(size)]
        if size not in self._of_size:
            wanted = self._column.in_([bindparam(name) for name in names])
            self._of_size[size] = Prepared(select(self._column).where(wanted))
        padded = [*values, *[next(iter(values))] * (size - len(values))]
        parameters = dict(zip(names, padded, strict=True))
        return {value for (value,) in self._of_size[size].run(connection, parameters)}
