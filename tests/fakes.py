"""Fakes of the gateway's ports. Each passes the contract suite of its port."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seriesgate.gateway.deaths import NO_DEATHS
from seriesgate.gateway.ports import KeptAs, SpoolUnavailable
from seriesgate.gateway.senders import Traffic
from seriesgate.series.model import Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seriesgate.gateway.deaths import Deaths
    from seriesgate.gateway.ports import P, StoreRequest, T
    from seriesgate.series.delivery import Delivery, PublishFailure
    from seriesgate.series.model import InstanceCopy, InstanceHeader

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Time that moves only when told to. Whoever waits is woken in the order of the deadlines."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._serial = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def utcnow(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now - 1000.0)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        if until is not None and until <= self.now:
            return
        alarm = asyncio.Event()
        if until is not None:
            heapq.heappush(self._sleepers, (until, next(self._serial), alarm))
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(alarm.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def advance(self, seconds: float) -> None:
        """Move time, stopping at each deadline on the way, and let everybody act."""
        end = self.now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            deadline, _, alarm = heapq.heappop(self._sleepers)
            self.now = max(self.now, deadline)
            alarm.set()
            await self.settle()
        self.now = end
        await self.settle()

    async def settle(self) -> None:
        await settle()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


async def inline(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Implement `Offload` without a thread."""
    await asyncio.sleep(0)
    return function(*args, **kwargs)


class MemorySpool:
    """Implements `InstanceSpool`. `full` makes every operation fail as a full disk does."""

    def __init__(self) -> None:
        self.full = False
        self.damaged: set[InstanceCopy] = set()
        self.quarantined = 0
        self.files: dict[tuple[str, InstanceCopy], Instance] = {}

    def has_room(self) -> bool:
        return not self.full

    def create(self, request: StoreRequest) -> MemoryFile:
        self.check()
        return MemoryFile(self, request)

    def check(self) -> None:
        if self.full:
            raise SpoolUnavailable("cannot write to the spool: No space left on device")

    def add(self, instance: Instance) -> None:
        self.files[instance.header.series_instance_uid, instance.copy] = instance

    def uids(self) -> list[tuple[str, str]]:
        return [(series, copy.sop_instance_uid) for series, copy in self.files]

    def path_of(self, series_instance_uid: str, copy: InstanceCopy) -> Path:
        return Path(series_instance_uid, f"{copy.sop_instance_uid}-{copy.digest.hex()}")

    def is_damaged(self, series_instance_uid: str, copy: InstanceCopy) -> bool:
        if copy in self.damaged and self.files.pop((series_instance_uid, copy), None) is not None:
            self.quarantined += 1
            return True
        return False

    def release(self, series_instance_uid: str, copies: Iterable[InstanceCopy]) -> int:
        names = [(series_instance_uid, copy) for copy in copies]
        return sum(self.files.pop(name, None) is not None for name in names)

    def recover(self, _deaths: Deaths = NO_DEATHS) -> Iterator[Instance]:
        for instance in self.files.values():
            yield instance._replace(is_recovered=True)

    def free_bytes(self) -> int:
        return 0 if self.full else 10**12

    def quarantine_count(self) -> int:
        return self.quarantined


class MemoryFile:
    """Implements `IncomingFile`."""

    def __init__(self, spool: MemorySpool, request: StoreRequest) -> None:
        self.content = b""
        self.digest = b""
        self._spool = spool
        self._request = request

    @property
    def size(self) -> int:
        return len(self.content)

    def write(self, fragment: bytes | memoryview) -> None:
        self._spool.check()
        self.content += fragment

    def keep(self, header: InstanceHeader) -> KeptAs:
        self._spool.check()
        self.digest = md5(self.content, usedforsecurity=False).digest()
        instance = Instance(header, self._request.calling_ae_title, self.size, EPOCH, self.digest)
        if (header.series_instance_uid, instance.copy) in self._spool.files:
            return KeptAs.REPEATED
        self._spool.add(instance)
        return KeptAs.NEW

    def discard(self) -> None:
        pass


class QuietAssociation:
    """Implements `TrafficSource`: `now` is what went over it so far."""

    def __init__(self, **traffic: Any) -> None:
        self.now = Traffic(**traffic)

    def traffic(self) -> Traffic:
        return self.now


class ScriptedPublisher:
    """Implements `SeriesPublisher`: answers with `outcomes` in turn, then with success."""

    def __init__(self, *outcomes: PublishFailure | None) -> None:
        self.outcomes = list(outcomes)
        self.published: list[Delivery] = []
        self.gate: asyncio.Event | None = None
        self.in_flight = 0
        self.most_in_flight = 0

    async def publish(self, delivery: Delivery) -> PublishFailure | None:
        self.published.append(delivery)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.gate is not None:
            await self.gate.wait()
        self.in_flight -= 1
        return self.outcomes.pop(0) if self.outcomes else None
