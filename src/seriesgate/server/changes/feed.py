"""Tells all who follow the changes that there are new ones, with one query for all of them.

The truth is the table of changes, whose numbers have no gaps and are in the order of the commits.
So a follower is just a number, and one that was away reads on where it was, from any server. Other
servers on the same database write too, so the table is looked at twice a second; what this one
writes is announced at once. While nobody follows, it is not looked at.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.registry.store import Deletion, StoreUnavailable, UnreadableChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seriesgate.server.bulkheads import TaskBulkhead
    from seriesgate.server.registry.store import FoundChange, SeriesStore

_BATCH = 100
_REMEMBERED = 1000


class ChangeFeed:
    """Follows the changes of `store`, while `run` runs. All methods belong to one event loop.

    `poll_interval` is how long a change of another server goes unnoticed at most, in seconds.
    A look at the changes that fails is contained by `bulkhead`; the next one is soon.
    """

    def __init__(
        self,
        store: SeriesStore,
        bulkhead: TaskBulkhead | None = None,
        *,
        poll_interval: float = 0.5,
    ) -> None:
        self._store = store
        self._poll_interval = poll_interval
        self._bulkhead = bulkhead or Bulkheads().task("change feed")
        self._recent: deque[FoundChange] = deque(maxlen=_REMEMBERED)
        self._position: int | None = None
        self._followers = 0
        self._followed = asyncio.Event()
        self._written = asyncio.Event()
        self._news = asyncio.Event()
        self.closing = asyncio.Event()

    def announce(self) -> None:
        """Say that this server has written a change."""
        self._written.set()

    def close(self) -> None:
        """End every `wait`: whoever follows shall stop."""
        self.closing.set()
        self._news.set()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow: only within this block `wait` tells of changes."""
        self._followers += 1
        self._followed.set()
        try:
            yield
        finally:
            self._followers -= 1

    async def run(self) -> None:
        """Look for changes until cancelled. While the database can't be read there are none."""
        while True:
            if not self._followers:
                # What is written until the next one follows is not remembered here.
                self._position = None
                self._recent.clear()
                self._followed.clear()
                await self._followed.wait()
            self._written.clear()
            with suppress(StoreUnavailable):  # the store says so in the log; the next look is soon
                with self._bulkhead.unit() as look:
                    await self._look()
                if look.failure:  # each follower sees for itself how far it comes
                    self._tell()
            await _wait(self._written, self._poll_interval)

    async def _look(self) -> None:
        if self._position is None:
            self._position = await self._store.latest_change()
            self._tell()
        while changes := await self._store.changes(self._position, limit=_BATCH):
            self._remember(changes)
            self._position = changes[-1].sequence
            self._tell()

    async def after(self, sequence: int) -> Sequence[FoundChange]:
        """Give the next changes after a number, none if there are none yet. StoreUnavailable."""
        if self._recent and self._recent[0].sequence <= sequence + 1:
            newer = (change for change in self._recent if change.sequence > sequence)
            return [change for change, _ in zip(newer, range(_BATCH), strict=False)]
        return await self._store.changes(sequence, limit=_BATCH)

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - its end is a normal outcome
        """Wait for new changes, or the end of all; False when neither came in time."""
        return await _wait(self._news, timeout)

    def _remember(self, changes: Sequence[FoundChange]) -> None:
        """Remember changes, and of a series that was deleted nothing but that."""
        for change in changes:
            if isinstance(change, Deletion):
                uid = change.series.SeriesInstanceUID
                kept = [each for each in self._recent if _uid_of(each) != uid]
                self._recent = deque(kept, maxlen=_REMEMBERED)
            self._recent.append(change)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self.closing.is_set():
            self._news.set()


def _uid_of(change: FoundChange) -> str | None:
    return None if isinstance(change, UnreadableChange) else change.series.SeriesInstanceUID


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
