"""Forgets old changes, now and then, so that a database grows with its series alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.server.sql.forget import forget, forget_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta

    from seriesgate.server.sql.database import SqlDatabase

_INTERVAL = 3600.0


class Housekeeping:
    """Keeps the changes in `database` for as long as `keep`. `webhooks` are those of the settings.

    `clock` gives aware times. Several servers on one database may each do it.
    """

    def __init__(
        self,
        database: SqlDatabase[Any, Any],
        clock: Callable[[], datetime],
        keep: timedelta,
        webhooks: Collection[str] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = keep
        self._webhooks = webhooks

    async def run(self) -> None:
        """Do it at once and every hour, until cancelled."""
        while True:
            with suppress(StoreUnavailable):  # the store says so in the log; there is no hurry
                await self.once()
            await asyncio.sleep(_INTERVAL)

    async def once(self) -> None:
        """Forget all that is old. StoreUnavailable. Others get their turn between the pieces."""
        now = self._clock()
        before = now - self._keep
        await self._database.write(
            lambda connection: forget_webhooks(connection, self._webhooks, now, before)
        )
        while await self._database.write(lambda connection: forget(connection, before)):
            pass
