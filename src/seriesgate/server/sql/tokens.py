"""Tokens in a SQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from seriesgate.server.access.tokens import (
    Grant,
    Scope,
    TokenNameTaken,
    TokenRecord,
    scopes_as_text,
)
from seriesgate.server.sql.tables import tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from seriesgate.server.sql.database import SqlDatabase


class SqlTokenStore:
    """A `TokenStore` on a database whose schema is up to date; `clock` gives aware times."""

    def __init__(self, database: SqlDatabase[Any, Any], clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def add(self, grant: Grant) -> TokenRecord:
        """See `TokenStore.add`."""
        now = self._clock()
        try:
            await self._database.write(lambda connection: _insert(connection, grant, now))
        except IntegrityError:
            raise TokenNameTaken from None
        return TokenRecord(grant, now, None)

    async def revoke(self, name: str) -> TokenRecord | None:
        """See `TokenStore.revoke`."""
        now = self._clock()
        return await self._database.write(lambda connection: _revoke(connection, name, now))

    async def records(self) -> list[TokenRecord]:
        """See `TokenStore.records`."""
        return await self._database.read(_select)


def _insert(connection: Connection, grant: Grant, now: datetime) -> None:
    row = {
        "Name": grant.name,
        "Digest": grant.digest,
        "Scopes": scopes_as_text(grant.scopes),
        "CreatedAt": now,
    }
    connection.execute(insert(tokens), row)


def _revoke(connection: Connection, name: str, now: datetime) -> TokenRecord | None:
    of_name = tokens.c.Name == name
    still_valid = tokens.c.RevokedAt.is_(None)
    connection.execute(update(tokens).where(of_name, still_valid).values(RevokedAt=now))
    row = connection.execute(select(tokens).where(of_name)).mappings().one_or_none()
    return None if row is None else _record(row)


def _select(connection: Connection) -> list[TokenRecord]:
    rows = connection.execute(select(tokens).order_by(tokens.c.Name)).mappings()
    return [_record(row) for row in rows]


def _record(row: RowMapping) -> TokenRecord:
    scopes = frozenset(Scope(name) for name in row["Scopes"])
    grant = Grant(row["Name"], row["Digest"], scopes)
    return TokenRecord(grant, row["CreatedAt"], row["RevokedAt"])
