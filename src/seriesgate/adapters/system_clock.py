"""The real clock, and the threads on which blocking work runs."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.gateway.ports import P, T


class SystemClock:
    """Implements `Clock` for an asyncio event loop, whose own time is the monotonic clock."""

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def utcnow(self) -> datetime:
        """Return the time of day, aware UTC."""
        return datetime.now(UTC)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or `until` has come."""
        # The running loop's clock is the same one (asyncio uses time.monotonic).
        try:
            async with asyncio.timeout_at(until):
                await event.wait()
        except TimeoutError:
            return


class BlockingThread:
    """One thread for blocking work, one piece at a time, in order. Implements `Offload`."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` on the thread and return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Wait for the work under way and end the thread."""
        self._executor.shutdown(wait=True)
