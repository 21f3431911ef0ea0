"""Writes outcomes of deliveries to the journal; those that come together share a transaction."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from seriesgate.containment import Unit, contained
from seriesgate.gateway.bulkhead import EXPECTED
from seriesgate.gateway.ports import JournalFull

if TYPE_CHECKING:
    from seriesgate.gateway.ports import Clock, Journal, Offload, Outcome

_log = logging.getLogger(__name__)

_FULL_PAUSE = 5.0


class OutcomeUnwritten(Exception):
    """An outcome cannot be written down: the journal does not take what it says."""


class OutcomeWriter:
    """One writer for many attempts. `write` and `run` are for the same event loop."""

    def __init__(self, journal: Journal, clock: Clock, journal_thread: Offload) -> None:
        self._journal = journal
        self._clock = clock
        self._journal_thread = journal_thread
        self._waiting: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._woken = asyncio.Event()

    async def write(self, outcome: Outcome) -> None:
        """Return once the outcome is durable. Raises OutcomeUnwritten if it cannot be written."""
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
            await self._write(batch)

    async def _write(self, batch: list[tuple[Outcome, asyncio.Future[None]]]) -> None:
        """Write outcomes together; if that fails, each for itself, so that only one suffers."""
        unit = Unit()
        with contained(unit, EXPECTED):
            await self._settle([outcome for outcome, _ in batch])
        if unit.failure and len(batch) > 1:
            for one in batch:
                await self._write([one])
            return
        for _, written in batch:
            if written.done():
                continue
            if unit.failure:
                written.set_exception(OutcomeUnwritten(unit.failure))
            else:
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
