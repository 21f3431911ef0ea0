"""Statements that every group of reports runs, compiled once and not each time.

What SQLAlchemy does for a statement each time costs several times what a database does for a few
rows. Here the text of a statement is made once for each dialect, and goes straight to the driver.
What the driver raises is raised as SQLAlchemy would.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection, Dialect
    from sqlalchemy.engine.interfaces import DBAPICursor
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.elements import ClauseElement


class _Compiled:
    """The text for one dialect, and how to give the driver the values of its parameters."""

    def __init__(
        self, statement: ClauseElement, columns: Sequence[str] | None, dialect: Dialect
    ) -> None:
        compiled: SQLCompiler = statement.compile(  # type: ignore[assignment]
            dialect=dialect, column_keys=columns
        )
        processors = {
            name: parameter.type.dialect_impl(dialect).bind_processor(dialect)
            for name, parameter in compiled.binds.items()
        }
        self.text = str(compiled)
        self._names = tuple((compiled.positiontup if compiled.positional else processors) or ())
        self._is_positional = compiled.positional
        self._pick = _picker(self._names)
        self._conversions = tuple(
            (place, processor)
            for place, name in enumerate(self._names)
            if (processor := processors[name]) is not None
        )

    def values(self, row: Mapping[str, Any]) -> Any:
        """Give what the driver wants for `row`."""
        values = self._pick(row)
        for place, convert in self._conversions:
            values[place] = convert(values[place])
        return values if self._is_positional else dict(zip(self._names, values, strict=True))


class Prepared:
    """A statement whose rows, if it gives any, are as the driver has them.

    `columns` are those that an INSERT or UPDATE sets by the parameters of their names.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._of_dialect: dict[str, _Compiled] = {}

    def run(self, connection: Connection, *rows: Mapping[str, Any]) -> None:
        """Run it for each of `rows`, of which there are some, with a value for each parameter."""
        compiled = self._compiled(connection.dialect)
        values = [compiled.values(row) for row in rows]
        cursor = _cursor(connection)
        try:
            if len(values) == 1:
                cursor.execute(compiled.text, values[0])
            else:
                cursor.executemany(compiled.text, values)
        except _driver_error(connection) as error:
            raise _translated(connection, cursor, error) from error
        finally:
            cursor.close()

    def fetch(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run it once and give all its rows."""
        compiled = self._compiled(connection.dialect)
        cursor = _cursor(connection)
        try:
            cursor.execute(compiled.text, compiled.values(parameters))
            return list(cursor.fetchall())
        except _driver_error(connection) as error:
            raise _translated(connection, cursor, error) from error
        finally:
            cursor.close()

    def _compiled(self, dialect: Dialect) -> _Compiled:
        compiled = self._of_dialect.get(dialect.name)
        if compiled is None:
            compiled = _Compiled(self._statement, self._columns, dialect)
            self._of_dialect[dialect.name] = compiled
        return compiled


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
        return {value for (value,) in self._of_size[size].fetch(connection, parameters)}


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], list[Any]]:
    """Give what picks the values of these names from a row."""
    if len(names) > 1:
        pick = itemgetter(*names)  # in one step, where a loop takes one for each value
        return lambda row: list(pick(row))
    return lambda row: [row[name] for name in names]


def _cursor(connection: Connection) -> DBAPICursor:
    return connection.connection.cursor()


def _driver_error(connection: Connection) -> type[Exception]:
    error: type[Exception] = connection.dialect.loaded_dbapi.Error
    return error


def _translated(connection: Connection, cursor: DBAPICursor, error: Any) -> BaseException:
    """Give the error of SQLAlchemy for that of a driver; let go of a connection that broke."""
    dialect = connection.dialect
    broke = dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
    if broke:
        connection.invalidate(error)
    # Without the text of the statement and its values: these are patient data.
    translated: BaseException = DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=broke,
        dialect=dialect,
    )
    return translated
