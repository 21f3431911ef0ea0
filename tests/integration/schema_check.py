"""In what the tables of a database differ from those of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from seriesgate.server.sql.tables import metadata
from seriesgate.server.sql.text_index import TEXT_INDEX

if TYPE_CHECKING:
    from sqlalchemy import Connection


def differences(connection: Connection) -> list[Any]:
    """Give what is missing, too much or of another type; the index of texts is not looked at."""
    options = {"compare_type": True, "include_name": _is_table_of_ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _is_table_of_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not str(name).startswith(TEXT_INDEX)
