"""Forgets old changes, now and then, so that a database grows with its series alone."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.registry.store import DeletionReason, StoreUnavailable
from seriesgate.server.sql.deletion import BATCH, Deleting
from seriesgate.server.sql.forget import forget, forget_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from seriesgate.server.sql.database import SqlDatabase

_INTERVAL = 3600.0
# Series that are too old are deleted once a day: after each time the index of texts is merged anew.
_EXPIRY = timedelta(days=1)

_log = logging.getLogger(__name__)


class Housekeeping:
    """Keeps the changes in `database` for as long as `keep`. `webhooks` are those of the settings.

    Series are kept for `keep_series` after the latest report that changed them, None is for ever;
    `deleted` is told of those that are deleted. `clock` gives aware times. Several servers on one
    database may each do it.
    """

    def __init__(
        self,
        database: SqlDatabase[Any, Any],
        clock: Callable[[], datetime],
        keep: timedelta,
        webhooks: Collection[str] = (),
        *,
        keep_series: timedelta | None = None,
        deleted: Callable[[DeletionReason, int], None] = lambda _reason, _count: None,
        bulkheads: Bulkheads | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = keep
        self._webhooks = webhooks
        self._keep_series = keep_series
        self._deleted = deleted
        self._bulkhead = (bulkheads or Bulkheads()).task("housekeeping")
        self._next_expiry = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Do it at once and every hour, until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(_INTERVAL)

    async def once(self) -> None:
        """Forget all that is old. Others get their turn between the pieces.

        A step that fails is left for the next time, and so is one that the database is in no state
        for: the store says so in the log, and there is no hurry.
        """
        now = self._clock()
        before = now - self._keep
        with suppress(StoreUnavailable), self._bulkhead.unit("old webhooks"):
            await self._database.write(
                lambda connection: forget_webhooks(connection, self._webhooks, now, before)
            )
        with suppress(StoreUnavailable), self._bulkhead.unit("old changes"):
            while await self._database.write(lambda connection: forget(connection, before)):
                pass
        if self._keep_series is not None and now >= self._next_expiry:
            with suppress(StoreUnavailable), self._bulkhead.unit("old series"):
                await self._expire(Deleting.of_age(now - self._keep_series, now))
                self._next_expiry = now + _EXPIRY

    async def _expire(self, deleting: Deleting) -> None:
        has_more = True
        while has_more:
            with self._bulkhead.unit("deletion of several series") as several:
                has_more = await self._database.write(deleting.step)
            if several.failure:
                has_more = await self._expire_one_by_one(deleting)
        if deleting.deleted:
            _log.info("%d series deleted, which were older than they are kept", deleting.deleted)
            self._deleted(DeletionReason.EXPIRED, deleting.deleted)

    async def _expire_one_by_one(self, deleting: Deleting) -> bool:
        """Delete some series, each for itself, but for those that can't be; whether more follow."""
        for _ in range(BATCH):
            has_more = False
            with self._bulkhead.unit("deletion of a series") as one:
                has_more = await self._database.write(
                    lambda connection: deleting.step(connection, 1)
                )
            if one.failure:
                has_more = await self._database.write(deleting.skip)
            if not has_more:
                return False
        return True
