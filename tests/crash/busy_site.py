"""A site at which anything may happen at any time: for the state machine and the simulation."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.crash.recovery import check
from tests.crash.site import STOPS, Answer, Gateway, Process, ProcessDied, Site, instance

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from seriesgate.adapters.spool.file_spool import Durability


class BusySite:
    """A site with a gateway that is started again whenever it has died or stopped.

    `next_process` says what will befall the next one. To be closed.
    """

    def __init__(self, durability: Durability, next_process: Callable[[], Process]) -> None:
        self.site = Site(durability)
        self.starts = 0
        self._next_process = next_process
        self._gateway: Gateway | None = None
        self._latest = timedelta()
        self._loop = asyncio.Runner()
        self._stack = ExitStack()
        self._stack.enter_context(self._loop)
        self._stack.enter_context(self.site.watched_log())

    def close(self) -> None:
        self.kill()
        self._stack.close()

    def send(self, series: str, number: int, content: int = 0, *, end: float = 1.0) -> bool:
        """Send an instance, or the beginning of one; return whether it was acknowledged."""
        sop = f"{series}.{number}"
        data_set = instance(series, sop, number, content=content, pixels=40)

        async def act() -> bool:
            return self._running().send(series, data_set, sop, end=end)

        return self._try(act) is True

    def pass_time(self, seconds: float) -> None:
        async def act() -> None:
            await self._running().advance(seconds)

        self._try(act)

    def serve(self, answer: Answer) -> None:
        """Have the server answer so from now on."""
        self.site.server.answer = answer

    def refuse(self, series: str) -> None:
        self.site.server.refuses.add(series)

    def kill(self) -> None:
        """End the gateway's process."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            self._loop.run(gateway.kill())

    def lose_power(self, random: Random) -> None:
        """Of what was not synced, some part stays."""
        self.kill()
        images = list(self.site.disk.crash_images(4, random))
        self.site.insert(random.choice(images))

    def set_clock(self, change: timedelta) -> None:
        """Set the time of day forward or back; timers must not care."""
        self.site.clock.offset += change
        self._latest = max(self._latest, self.site.clock.offset)

    def fill_disk(self, *, is_full: bool) -> None:
        disk = self.site.disk
        disk.capacity = disk.used if is_full else 1 << 40

    def finish(self) -> None:
        """Put everything right, let the gateway do its work, and check what came of it all."""
        self.kill()
        self.fill_disk(is_full=False)
        self.site.clock.offset = self._latest
        self._loop.run(check(self.site))

    def _running(self) -> Gateway:
        if self._gateway is None:
            self.starts += 1
            self._gateway = Gateway(self.site, self._next_process())
        return self._gateway

    def _try(self, act: Callable[[], object]) -> object:
        async def guarded() -> object:
            try:
                result = await act()  # type: ignore[misc]
                if self._gateway is not None:
                    await self._gateway.check()
            except (ProcessDied, *STOPS):
                return None
            return result

        result = self._loop.run(guarded())
        if result is None and self._gateway is not None and self._has_ended():
            self.kill()
        return result

    def _has_ended(self) -> bool:
        assert self._gateway is not None
        return self._gateway.has_ended()
