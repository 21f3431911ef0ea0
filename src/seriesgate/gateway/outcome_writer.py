"""Writes outcomes of deliveries to the journal; those that come together share a transaction."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import JournalFull

if TYPE_CHECKING:
    from seriesgate.gateway.ports import Clock, Journal, Offload, Outcome

_log = logging.getLogger(__name__)

_FULL_PAUSE = 5.0


class OutcomeWriter:
    """One writer for many attempts. `write` and `run` are for the same event loop."""

    def __init__(self, journal: Journal, clock: Clock, journal_thread: Offload) -> None:
        self._journal = journal
        self._clock = clock
        self._journal_thread = journal_thread
        self._waiting: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._woken = asyncio.Event()

    async def write(self, outcome: Outcome) -> None:
        """Return once the outcome is durable."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, written))
        self._woken.set()
        await written

    async def run(self) -> None:
        """Write for ever. Stops by cancellation, or when the journal fails."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            batch, self._waiting = self._waiting, []
            await self._settle([outcome for outcome, _ in batch])
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    async def _settle(self, outcomes: list[Outcome]) -> None:
        while True:
            try:
                await self._journal_thread(self._journal.settle, outcomes, self._clock.utcnow())
            except JournalFull as error:
                _log.error("outcomes of deliveries cannot be written down now: %s", error)
                await self._clock.wait(asyncio.Event(), self._clock.monotonic() + _FULL_PAUSE)
            else:
                return
