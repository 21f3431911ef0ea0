"""Forgets old changes, now and then, so that a database grows with its series alone."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from seriesgate.server.registry.store import DeletionReason, StoreUnavailable
from seriesgate.server.sql.deletion import Deleting
from seriesgate.server.sql.forget import forget, forget_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from seriesgate.server.background import Background
    from seriesgate.server.sql.database import SqlDatabase

#: What the task is called.
HOUSEKEEPING = "housekeeping"

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
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = keep
        self._webhooks = webhooks
        self._keep_series = keep_series
        self._deleted = deleted
        self._next_expiry = datetime.min.replace(tzinfo=UTC)

    async def run(self, background: Background) -> None:
        """Do it at once and every hour, until cancelled."""
        while True:
            for step in (self.forget_webhooks, self.forget_changes, self.expire):
                # Of a store that is unavailable the log has a word already; there is no hurry.
                with background.piece(HOUSEKEEPING), suppress(StoreUnavailable):
                    await step()
            await asyncio.sleep(_INTERVAL)

    async def once(self) -> None:
        """Forget all that is old. StoreUnavailable. Others get their turn between the pieces."""
        await self.forget_webhooks()
        await self.forget_changes()
        await self.expire()

    async def forget_webhooks(self) -> None:
        """Forget webhooks that are no more, and what was owed to them for too long."""
        now = self._clock()
        await self._database.write(
            lambda connection: forget_webhooks(connection, self._webhooks, now, now - self._keep)
        )

    async def forget_changes(self) -> None:
        """Forget changes that are older than they are kept."""
        before = self._clock() - self._keep
        while await self._database.write(lambda connection: forget(connection, before)):
            pass

    async def expire(self) -> None:
        """Delete series that are older than they are kept, once a day."""
        now = self._clock()
        if self._keep_series is not None and now >= self._next_expiry:
            await self._expire(Deleting.of_age(now - self._keep_series, now))
            self._next_expiry = now + _EXPIRY

    async def _expire(self, deleting: Deleting) -> None:
        while await self._database.write(deleting.step):
            pass
        if deleting.deleted:
            _log.info("%d series deleted, which were older than they are kept", deleting.deleted)
            self._deleted(DeletionReason.EXPIRED, deleting.deleted)
