"""Column types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from sqlalchemy import BigInteger, DateTime, Integer, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

# Text that is compared byte by byte, on PostgreSQL too: there the usual order is that of a language
# and changes with the operating system's tables, which spoils the indexes.
BinaryText = Text().with_variant(Text(collation="C"), "postgresql")


#: A number of 64 bits that is the primary key; SQLite has such rows without an index of their own.
RowNumber = BigInteger().with_variant(Integer, "sqlite")


def json_text(value: Any) -> str:
    """Give the text of a JSON column; the encoder of `json` takes ten times as long."""
    return to_json(value).decode()


@lru_cache(maxsize=256)  # the time at which a report came stands in several of its rows
def _text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware UTC in Python, a time with time zone in the database.

    SQLite has no such type. There it is text such as `2024-05-01T12:00:00.000000+00:00`, always of
    this width, so that its order is that of time and a person who opens the file can read it.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type that the database really has."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else self.impl_instance)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """Python to database. A naive time is a mistake of ours: ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without time zone can't be stored")
        return _text_of(value) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Database to Python."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return datetime.fromisoformat(value)  # it says +00:00
        moment: datetime = value.astimezone(UTC)
        return moment
