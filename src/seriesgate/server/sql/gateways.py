"""Gateways in a SQL database, so that every server on it knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from seriesgate.series.heartbeat import Heartbeat
from seriesgate.server.registry.gateways import (
    MOST_GATEWAYS,
    GatewayRecord,
    owner_of,
    still_wanted,
    who_must_go,
    with_retry,
)
from seriesgate.server.sql.tables import gateways

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from seriesgate.server.sql.database import SqlDatabase


class SqlGatewayStore:
    """A `GatewayStore` on a database whose schema is up to date."""

    def __init__(self, database: SqlDatabase[Any, Any]) -> None:
        self._database = database

    async def beat(
        self,
        name: str,
        heartbeat: Heartbeat,
        now: datetime,
        token: str | None = None,
        valid: Collection[str] = (),
    ) -> tuple[str, ...]:
        """See `GatewayStore.beat`."""

        def work(connection: Connection) -> tuple[str, ...]:
            known = _find(connection, name, for_update=True)
            owner = owner_of(known.token if known else None, token, valid)
            return _beat(connection, GatewayRecord(name, now, heartbeat, {}, owner), known)

        try:
            return await self._database.write(work)
        except IntegrityError:  # another server has just added it: now it is known
            return await self._database.write(work)

    async def records(self) -> list[GatewayRecord]:
        """See `GatewayStore.records`."""
        return await self._database.read(_select)

    async def find(self, name: str) -> GatewayRecord | None:
        """See `GatewayStore.find`."""
        return await self._database.read(lambda connection: _find(connection, name))

    async def ask_retry(self, name: str, delivery_id: str) -> bool:
        """See `GatewayStore.ask_retry`."""
        return await self._database.write(
            lambda connection: _ask_retry(connection, name, delivery_id)
        )

    async def allow(self, name: str, token: str) -> bool:
        """See `GatewayStore.allow`."""
        statement = update(gateways).where(gateways.c.Name == name).values(Token=token)
        done = await self._database.write(lambda connection: connection.execute(statement))
        return bool(done.rowcount)

    async def forget(self, name: str) -> bool:
        """See `GatewayStore.forget`."""
        return await self._database.write(lambda connection: _forget(connection, name))


def _beat(
    connection: Connection, record: GatewayRecord, known: GatewayRecord | None
) -> tuple[str, ...]:
    retries = still_wanted(known.retries if known else {}, record.heartbeat)
    row = {
        "LastSeenAt": record.last_seen_at,
        "Heartbeat": record.heartbeat.model_dump_json(),
        "Retries": retries,
        "Token": record.token,
    }
    if known is not None:
        connection.execute(update(gateways).where(gateways.c.Name == record.name).values(row))
    else:
        _make_room(connection, record.token)
        connection.execute(insert(gateways), {"Name": record.name, **row})
    return tuple(retries)


def _make_room(connection: Connection, token: str | None) -> None:
    columns = gateways.c
    if connection.execute(select(func.count()).select_from(gateways)).scalar_one() >= MOST_GATEWAYS:
        rows = connection.execute(select(columns.Name, columns.Token, columns.LastSeenAt))
        _forget(connection, who_must_go([tuple(row) for row in rows], token))


def _select(connection: Connection) -> list[GatewayRecord]:
    rows = connection.execute(select(gateways).order_by(gateways.c.Name))
    return [_record(row) for row in rows]


def _find(connection: Connection, name: str, *, for_update: bool = False) -> GatewayRecord | None:
    found = select(gateways).where(gateways.c.Name == name)
    row = connection.execute(found.with_for_update() if for_update else found).one_or_none()
    return None if row is None else _record(row)


def _ask_retry(connection: Connection, name: str, delivery_id: str) -> bool:
    record = _find(connection, name, for_update=True)
    wanted = None if record is None else with_retry(record, delivery_id)
    if wanted is None:
        return False
    of_name = gateways.c.Name == name
    connection.execute(update(gateways).where(of_name).values(Retries=dict(wanted.retries)))
    return True


def _forget(connection: Connection, name: str) -> bool:
    done = connection.execute(delete(gateways).where(gateways.c.Name == name))
    return bool(done.rowcount)


def _record(row: Row[Any]) -> GatewayRecord:
    heartbeat = Heartbeat.model_validate_json(row.Heartbeat)
    return GatewayRecord(row.Name, row.LastSeenAt, heartbeat, row.Retries, row.Token)
