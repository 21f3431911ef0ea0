"""The use case of letting go: what is delivered is released, and in the end forgotten."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import JournalFull

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seriesgate.gateway.bulkhead import Bulkheads
    from seriesgate.gateway.ports import Clock, InstanceSpool, Journal, Offload
    from seriesgate.series.model import InstanceCopy

_log = logging.getLogger(__name__)

# Files that are kept for a while, and series that are remembered, are looked at once a minute.
_ROUND = 60.0


class Retention:
    """Removes the files of delivered series after `keep_delivered` seconds.

    `remember_delivered` seconds after its delivery a series is forgotten: an instance of it that
    comes later makes a new series. `journal_thread` and `file_thread` run the blocking work.
    """

    def __init__(
        self,
        journal: Journal,
        spool: InstanceSpool,
        clock: Clock,
        journal_thread: Offload,
        removal_thread: Offload,
        bulkheads: Bulkheads,
        *,
        keep_delivered: float,
        remember_delivered: float,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._clock = clock
        self._journal_thread = journal_thread
        self._removal_thread = removal_thread
        self._bulkheads = bulkheads
        # What was put aside, and is to be removed again.
        self._again: dict[str, frozenset[InstanceCopy]] = {}
        self._keep = timedelta(seconds=keep_delivered)
        # What is forgotten can't be released any more.
        self._remember = timedelta(seconds=max(remember_delivered, keep_delivered))
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was delivered. To be called on the event loop."""
        if not self._keep:
            self._woken.set()

    async def run(self) -> None:
        """Let go for ever. Stops by cancellation, or when the journal fails."""
        next_round = self._clock.monotonic()
        while True:
            self._woken.clear()
            try:
                with self._bulkheads.unit("release of delivered series", ""):
                    await self._release()
                if self._clock.monotonic() >= next_round:
                    next_round = self._clock.monotonic() + _ROUND
                    with self._bulkheads.unit("forgetting of old series", ""):
                        await self._forget()
            except JournalFull as error:
                # Nothing is lost by waiting; room comes back with the next round, or later.
                _log.error("delivered files cannot be released now: %s", error)
                next_round = self._clock.monotonic() + _ROUND
                await self._clock.wait(asyncio.Event(), next_round)
            await self._clock.wait(self._woken, next_round)

    async def _release(self) -> None:
        again, self._again = self._again, {}
        await self._remove(again)
        while copies := await self._journal_thread(
            self._journal.take_releasable, self._clock.utcnow() - self._keep
        ):
            await self._remove(copies)

    async def _forget(self) -> None:
        while await self._journal_thread(
            self._journal.forget, self._clock.utcnow() - self._remember
        ):
            pass

    async def _remove(self, copies: Mapping[str, frozenset[InstanceCopy]]) -> None:
        files = series = 0
        for uid, delivered in copies.items():
            with self._bulkheads.unit(
                "removal of files", uid, partial(self._later, uid, delivered)
            ):
                removed = await self._removal_thread(self._remove_one, uid, delivered)
                files += removed
                series += removed > 0
        if files:
            _log.info("%d files of %d delivered series are removed", files, series)

    def _later(self, uid: str, delivered: frozenset[InstanceCopy]) -> None:
        self._again[uid] = delivered
        self._woken.set()

    def _remove_one(self, uid: str, delivered: frozenset[InstanceCopy]) -> int:
        try:
            return self._spool.release(uid, delivered)
        except OSError as error:
            # They are counted already; the next start finds them and tries again.
            _log.error("delivered files cannot be removed: %s", error.strerror)
            return 0
