"""The use case of remembering senders: what was seen of them survives a restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import JournalFull

if TYPE_CHECKING:
    from seriesgate.gateway.bulkhead import Bulkheads
    from seriesgate.gateway.ports import Clock, Journal, Offload
    from seriesgate.gateway.senders import SenderRegister, SenderStatistics

# How often it is written down, in seconds: so much is forgotten by a crash.
_ROUND = 60.0


class SenderMemory:
    """Keeps what `register` knows in the journal. All methods are for the event loop.

    How late series come was seen at one quiet period, in seconds: with another one it is forgotten.
    """

    def __init__(
        self,
        register: SenderRegister,
        journal: Journal,
        clock: Clock,
        journal_thread: Offload,
        quiet_period: float,
        bulkheads: Bulkheads,
    ) -> None:
        self._register = register
        self._journal = journal
        self._clock = clock
        self._journal_thread = journal_thread
        self._quiet_period = quiet_period
        self._bulkheads = bulkheads

    async def recall(self) -> None:
        """Tell the register what an earlier run knew. Raises JournalFailed."""
        self._register.recall(
            await self._journal_thread(remembered, self._journal, self._quiet_period)
        )

    async def run(self) -> None:
        """Write it down once a minute, for ever. Stops by cancellation; raises JournalFailed."""
        never = asyncio.Event()
        while True:
            await self._clock.wait(never, self._clock.monotonic() + _ROUND)
            await self.keep()

    async def keep(self) -> None:
        """Write it down now, unless there is no room. Raises JournalFailed."""
        # The next time will do; of a full journal, whoever must write will complain.
        with suppress(JournalFull), self._bulkheads.unit("memory of senders", ""):
            await self._journal_thread(
                self._journal.keep_senders, self._register.senders(), self._quiet_period
            )


def remembered(journal: Journal, quiet_period: float) -> list[SenderStatistics]:
    """Return the senders that are known, the latest first. Raises JournalFailed."""
    senders, seen_at = journal.senders()
    if seen_at != quiet_period:
        for sender in senders:
            sender.forget_series()
    return senders
