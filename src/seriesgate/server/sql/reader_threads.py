"""Threads for work on a database that lets many connections work at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from seriesgate.server.registry.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class ReaderThreads:
    """Runs calls on `threads` threads; at most `max_waiting` calls wait or run at a time."""

    def __init__(self, threads: int, *, max_waiting: int = 2_000) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="database-reader")
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closing = False

    async def call(self, function: Callable[[], T]) -> T:
        """Give the result of `function`. StoreUnavailable: closed, or too busy."""
        if self._closing:
            raise StoreUnavailable("the server is stopping")
        if self._waiting >= self._max_waiting:
            raise StoreUnavailable("too many requests are waiting for the database")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, function)
        # Not when the caller is gone: a call that was cancelled may still be running.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Finish what was begun and end the threads."""
        self._closing = True
        await asyncio.to_thread(self._executor.shutdown)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # seen, also where the caller is gone
