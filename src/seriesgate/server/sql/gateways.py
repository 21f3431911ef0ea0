"""Gateways in a SQL database, so that every server on it knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from seriesgate.series.heartbeat import Heartbeat
from seriesgate.server.registry.gateways import (
    MOST_GATEWAYS,
    GatewayRecord,
    TooManyGateways,
    still_wanted,
    with_retry,
)
from seriesgate.server.sql.tables import gateways

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from seriesgate.server.sql.database import SqlDatabase


class SqlGatewayStore:
    """A `GatewayStore` on a database whose schema is up to date."""

    def __init__(self, database: SqlDatabase[Any, Any]) -> None:
        self._database = database

    async def beat(self, name: str, heartbeat: Heartbeat, now: datetime) -> tuple[str, ...]:
        """See `GatewayStore.beat`."""

        def work(connection: Connection) -> tuple[str, ...]:
            return _beat(connection, name, heartbeat, now)

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

    async def forget(self, name: str) -> bool:
        """See `GatewayStore.forget`."""
        return await self._database.write(lambda connection: _forget(connection, name))


def _beat(
    connection: Connection, name: str, heartbeat: Heartbeat, now: datetime
) -> tuple[str, ...]:
    known = _find(connection, name, for_update=True)
    retries = still_wanted(known.retries if known else {}, heartbeat)
    row = {"LastSeenAt": now, "Heartbeat": heartbeat.model_dump_json(), "Retries": retries}
    if known is not None:
        connection.execute(update(gateways).where(gateways.c.Name == name).values(row))
    elif (
        connection.execute(select(func.count()).select_from(gateways)).scalar_one() >= MOST_GATEWAYS
    ):
        raise TooManyGateways
    else:
        connection.execute(insert(gateways), {"Name": name, **row})
    return tuple(retries)


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
    return GatewayRecord(row.Name, row.LastSeenAt, heartbeat, row.Retries)
