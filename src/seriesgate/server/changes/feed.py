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

from seriesgate.server.background import Background
from seriesgate.server.registry.store import Deletion, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seriesgate.server.registry.store import AnyChange, SeriesStore

#: What the task is called.
FEED = "the feed of changes"

_BATCH = 100
_REMEMBERED = 1000


class ChangeFeed:
    """Follows the changes of `store`, while `run` runs. All methods belong to one event loop.

    `poll_interval` is how long a change of another server goes unnoticed at most, in seconds. A
    change that cannot be read is passed over, by `background`.
    """

    def __init__(
        self,
        store: SeriesStore,
        background: Background | None = None,
        *,
        poll_interval: float = 0.5,
    ) -> None:
        self._store = store
        self._background = background or Background()
        self._poll_interval = poll_interval
        self._recent: deque[AnyChange] = deque(maxlen=_REMEMBERED)
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
        position: int | None = None
        while True:
            if not self._followers:
                # What is written until the next one follows is not remembered here.
                position = None
                self._recent.clear()
                self._followed.clear()
                await self._followed.wait()
            self._written.clear()
            with self._background.piece(FEED) as unit, suppress(StoreUnavailable):
                # Of a store that is unavailable the log has a word already; the next look is soon.
                if position is None:
                    position = await self._store.latest_change()
                    self._tell()
                position = await self._read_on(position, _BATCH)
            if unit.failure and position is not None:
                position = await self._pass_over(position)
            await _wait(self._written, self._poll_interval)

    async def _read_on(self, position: int, limit: int) -> int:
        """Tell of all changes after a position; return the position behind them."""
        while changes := await self._store.changes(position, limit=limit):
            position = changes[-1].sequence
            self._remember(changes)
            self._tell()
        return position

    async def _pass_over(self, position: int) -> int:
        """Read on one by one, behind the first change that cannot be read."""
        with self._background.piece(FEED) as unit, suppress(StoreUnavailable):
            while changes := await self._store.changes(position, limit=1):
                position = changes[-1].sequence
                self._remember(changes)
                self._tell()
        return position + 1 if unit.failure else position

    async def after(self, sequence: int) -> Sequence[AnyChange]:
        """Give the next changes after a number, none if there are none yet. StoreUnavailable."""
        if self._recent and self._recent[0].sequence <= sequence + 1:
            newer = (change for change in self._recent if change.sequence > sequence)
            return [change for change, _ in zip(newer, range(_BATCH), strict=False)]
        return await self._store.changes(sequence, limit=_BATCH)

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - its end is a normal outcome
        """Wait for new changes, or the end of all; False when neither came in time."""
        return await _wait(self._news, timeout)

    def _remember(self, changes: Sequence[AnyChange]) -> None:
        """Remember changes, and of a series that was deleted nothing but that."""
        for change in changes:
            if isinstance(change, Deletion):
                uid = change.series.SeriesInstanceUID
                kept = [each for each in self._recent if each.series.SeriesInstanceUID != uid]
                self._recent = deque(kept, maxlen=_REMEMBERED)
            self._recent.append(change)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self.closing.is_set():
            self._news.set()


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
