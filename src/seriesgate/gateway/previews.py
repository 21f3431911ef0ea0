"""The use case of pictures: one small picture of each series, when there is time for it.

Best effort throughout: a picture is made of a series whose report has been delivered, one at a
time. What would take too long, or too much, is left out; nothing that is owed ever waits for it.

Decided in ADR 21.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from seriesgate.containment import Unit, contained
from seriesgate.gateway.ports import NoPreview
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seriesgate.gateway.bulkhead import Bulkheads
    from seriesgate.gateway.ports import (
        Clock,
        InstanceSpool,
        Offload,
        PreviewPublisher,
        PreviewRenderer,
        PreviewShelf,
    )
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.model import CollectedSeries, Identity, InstanceSummary
    from seriesgate.series.revision import SeriesRevision

_log = logging.getLogger(__name__)

#: How many instances are kept for a picture, and how many bytes they have together.
MAX_KEPT = 256
MAX_KEPT_BYTES = 2**30
# Of so many instances the one in the middle is sought.
_MOST_CANDIDATES = 4096
# After so many seconds without work the renderer gives its memory back.
_IDLE = 60.0


@dataclass(frozen=True, slots=True)
class _Kept:
    path: Path
    size: int


class PreviewQueue:
    """Keeps one instance of each closed series, and has its picture made once it is delivered.

    A bounded queue, which drops the oldest: under load some series have no picture. `file_thread`
    is that of closing series, `removal_thread` that of released files.
    """

    def __init__(
        self,
        spool: InstanceSpool,
        shelf: PreviewShelf,
        renderer: PreviewRenderer,
        publisher: PreviewPublisher,
        clock: Clock,
        file_thread: Offload,
        removal_thread: Offload,
        totals: GatewayTotals,
        bulkheads: Bulkheads,
    ) -> None:
        self._spool = spool
        self._shelf = shelf
        self._renderer = renderer
        self._publisher = publisher
        self._clock = clock
        self._file_thread = file_thread
        self._removal_thread = removal_thread
        self._totals = totals
        self._bulkheads = bulkheads
        # The oldest first. Owned by the event loop.
        self._kept: dict[str, _Kept] = {}
        self._due: dict[str, None] = {}
        self._woken = asyncio.Event()

    async def keep(self, closed: list[tuple[CollectedSeries, SeriesRevision]]) -> None:
        """Keep an instance of each series, that a delivery does not release. Raises nothing."""
        wanted = [pair for pair in closed if _is_worth_a_picture(pair[1])][-MAX_KEPT:]
        kept = await self._file_thread(lambda: [self._keep_one(*pair) for pair in wanted])
        dropped = []
        for (collected, _), one in zip(wanted, kept, strict=True):
            if one is not None:
                dropped += self._take(collected.series_instance_uid)
                self._kept[collected.series_instance_uid] = one
        while len(self._kept) > MAX_KEPT or self._kept_bytes() > MAX_KEPT_BYTES:
            dropped += self._take(next(iter(self._kept)))
            self._totals.previews_dropped += 1
        if dropped:
            await self._removal_thread(self._discard, dropped)

    def delivered(self, series_instance_uid: str) -> None:
        """Have the picture of a series made, if an instance of it is kept."""
        if series_instance_uid in self._kept:
            self._due[series_instance_uid] = None
            self._woken.set()

    async def run(self) -> None:
        """Make pictures for ever. Stops only by cancellation."""
        is_idle = True
        try:
            while True:
                self._woken.clear()
                while self._due:
                    is_idle = False
                    await self._make_contained(next(iter(self._due)))
                until = None if is_idle else self._clock.monotonic() + _IDLE
                await self._clock.wait(self._woken, until)
                if not self._woken.is_set():
                    with self._bulkheads.unit("rest of the renderer of previews", ""):
                        await self._renderer.rest()
                    is_idle = True
        finally:
            await self._renderer.rest()

    async def _make_contained(self, uid: str) -> None:
        """Make a picture; one that fails unexpectedly keeps its instance, while there is room."""
        del self._due[uid]
        kept = self._kept.pop(uid)
        with self._bulkheads.unit("preview", uid, partial(self.delivered, uid)) as unit:
            await self._make(uid, kept)
        if unit.failure:
            self._totals.previews_failed += 1
            self._kept.setdefault(uid, kept)
        else:
            await self._removal_thread(self._shelf.discard, kept.path)

    async def _make(self, series_instance_uid: str, kept: _Kept) -> None:
        try:
            picture = await self._renderer.render(kept.path)
            await self._publisher.publish_preview(series_instance_uid, picture)
        except NoPreview as error:
            self._totals.previews_failed += 1
            _log.info("a series has no preview: %s", error)
        else:
            self._totals.previews_made += 1

    def _keep_one(self, collected: CollectedSeries, revision: SeriesRevision) -> _Kept | None:
        copy = _middle(collected.instances, revision.summary.identities.majority.identity)
        if copy is None:
            return None
        size = collected.instances[copy.sop_instance_uid].size
        if size > MAX_KEPT_BYTES:
            return None
        source = self._spool.path_of(collected.series_instance_uid, copy)
        unit = Unit()
        try:
            with contained(unit, (NoPreview,)):
                return _Kept(self._shelf.keep(source), size)
        except NoPreview as error:
            unit.failure = str(error)
        _log.info("a series has no preview: %s", unit.failure)
        return None

    def _discard(self, paths: list[Path]) -> None:
        for path in paths:
            self._shelf.discard(path)

    def _take(self, series_instance_uid: str) -> list[Path]:
        """Forget what is kept of a series; return the file that nobody needs any more."""
        self._due.pop(series_instance_uid, None)
        kept = self._kept.pop(series_instance_uid, None)
        return [] if kept is None else [kept.path]

    def _kept_bytes(self) -> int:
        return sum(kept.size for kept in self._kept.values())


def _is_worth_a_picture(revision: SeriesRevision) -> bool:
    """Some late instances are no middle of a series that has a picture already."""
    return 2 * len(revision.added_instances) >= revision.summary.instances


def _middle(instances: Mapping[str, InstanceSummary], identity: Identity) -> InstanceCopy | None:
    """Return the instance in the middle, by Instance Number; those without one come first.

    It is one of the patient that the series is shown with. Of a very large series, some are looked
    at, evenly spread.
    """
    own = [uid for uid, summary in instances.items() if summary.identity == identity]
    if not own:
        return None

    def place(uid: str) -> tuple[bool, int, str]:
        number = instances[uid].instance_number
        return number is not None, number or 0, uid

    some = own[:: 1 + len(own) // _MOST_CANDIDATES]
    uid = sorted(some, key=place)[len(some) // 2]
    return InstanceCopy(uid, instances[uid].digest)
