"""Sessions in a SQL database, so that every server on it knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from seriesgate.server.access.sessions import Session
from seriesgate.server.sql.tables import sessions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from seriesgate.server.sql.database import SqlDatabase


class SqlSessionStore:
    """A `SessionStore` on a database whose schema is up to date."""

    def __init__(self, database: SqlDatabase[Any, Any]) -> None:
        self._database = database

    async def begin(self, session: Session, now: datetime) -> None:
        """See `SessionStore.begin`."""
        await self._database.write(lambda connection: _insert(connection, session, now))

    async def find(self, digest: str) -> Session | None:
        """See `SessionStore.find`."""
        return await self._database.read(lambda connection: _select(connection, digest))

    async def end(self, digest: str) -> None:
        """See `SessionStore.end`."""
        await self._database.write(lambda connection: _delete(connection, digest))


def _insert(connection: Connection, session: Session, now: datetime) -> None:
    connection.execute(delete(sessions).where(sessions.c.ExpiresAt <= now))
    row = {
        "Digest": session.digest,
        "TokenDigest": session.token_digest,
        "ExpiresAt": session.expires_at,
    }
    connection.execute(insert(sessions), row)


def _select(connection: Connection, digest: str) -> Session | None:
    row = connection.execute(select(sessions).where(sessions.c.Digest == digest)).one_or_none()
    return None if row is None else Session(row.Digest, row.TokenDigest, row.ExpiresAt)


def _delete(connection: Connection, digest: str) -> None:
    connection.execute(delete(sessions).where(sessions.c.Digest == digest))
