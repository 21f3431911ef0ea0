"""The use case of operating the gateway: how it stands, and what becomes of dead letters."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from seriesgate.gateway.outbox import NoSuchDeadLetter, find_dead_letter, read_outbox
from seriesgate.gateway.ports import JournalFailed, SpoolUnavailable
from seriesgate.gateway.throughput import ThroughputMeter
from seriesgate.series.delivery import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from seriesgate.gateway.associations import AssociationRegister, AssociationStatus
    from seriesgate.gateway.bulkhead import Bulkheads, UnitAside
    from seriesgate.gateway.dispatcher import SeriesDispatcher
    from seriesgate.gateway.intake import Intake
    from seriesgate.gateway.outbox import Outbox, OutboxEntry
    from seriesgate.gateway.ports import (
        Clock,
        DeadLetter,
        InstanceSpool,
        Journal,
        Offload,
        P,
        T,
        Tally,
    )
    from seriesgate.gateway.retention import Retention
    from seriesgate.gateway.senders import SenderStatistics
    from seriesgate.gateway.throughput import Throughput
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.collector import OpenSeriesProgress

_log = logging.getLogger(__name__)

# How often the throughput is sampled and repeated refusals are summed up, in seconds.
_ROUND = 5.0


@dataclass(frozen=True, slots=True)
class InstanceSum:
    """What became of every instance that was acknowledged, each counted once.

    `open` are those of series that are not written down yet: an instance that was counted with an
    earlier revision of its series is among them until the series closes. `owed` are to be reported
    by deliveries that are still tried, `dead` by dead letters, `discarded` by those given up.
    """

    acknowledged: int
    open: int
    owed: int
    delivered: int
    dead: int
    discarded: int

    @property
    def pending(self) -> int:
        """Those that the server will be told of."""
        return self.open + self.owed

    @property
    def adds_up(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        return self.acknowledged == self.delivered + self.pending + self.dead + self.discarded


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """How the gateway stands. `totals` are since `started_at`, all times aware UTC.

    `not_ready` says in one line each why it can't do its work now; empty when it can. `free_bytes`
    and `quarantined` are None when the disk does not tell. `monotonic` is the time that the
    deadlines of `progress` are to be compared with; `uptime` are the seconds since the start, by
    a clock that nobody sets. `aside` is what is put aside now, `put_aside` how often each task has
    put something aside.
    """

    started_at: datetime
    uptime: float
    now: datetime
    monotonic: float
    not_ready: tuple[str, ...]
    open_series: int
    progress: tuple[OpenSeriesProgress, ...]
    instances: InstanceSum
    deliveries: Mapping[DeliveryState, int]
    deliveries_in_flight: int
    oldest_pending_at: datetime | None
    associations: AssociationStatus
    totals: GatewayTotals
    throughput: Throughput
    free_bytes: int | None
    quarantined: int | None
    aside: Sequence[UnitAside]
    put_aside: Mapping[str, int]


class Administration:
    """Answers whoever operates the gateway. All methods are for the event loop.

    `journal_thread` and `disk_thread` run the blocking work. Methods that reach the journal raise
    JournalFailed, those that write JournalFull too; after a JournalFailed, `run` raises it as well.
    """

    def __init__(
        self,
        intake: Intake,
        spool: InstanceSpool,
        journal: Journal,
        dispatcher: SeriesDispatcher,
        retention: Retention,
        associations: AssociationRegister,
        clock: Clock,
        journal_thread: Offload,
        disk_thread: Offload,
        totals: GatewayTotals,
        bulkheads: Bulkheads,
    ) -> None:
        self._intake = intake
        self._spool = spool
        self._journal = journal
        self._dispatcher = dispatcher
        self._retention = retention
        self._associations = associations
        self._clock = clock
        self._journal_thread = journal_thread
        self._disk_thread = disk_thread
        self._totals = totals
        self._bulkheads = bulkheads
        self._meter = ThroughputMeter()
        self._started_at = clock.utcnow()
        self._started = clock.monotonic()
        self._is_recovering = True
        self._is_stopping = False
        self._has_failed = asyncio.Event()
        self._failure: JournalFailed | None = None

    def recovered(self) -> None:
        """What an earlier run has received is known now."""
        self._is_recovering = False

    def stopping(self) -> None:
        """The gateway accepts nothing more."""
        self._is_stopping = True

    async def run(self) -> None:
        """Take samples for ever.

        Stops by cancellation; raises JournalFailed once a request has met it.
        """
        while self._failure is None:
            with self._bulkheads.unit("sampling of the throughput", ""):
                self._meter.sample(self._clock.monotonic(), *self._received())
            with self._bulkheads.unit("summing up of refusals", ""):
                self._associations.log_repetitions()
            await self._clock.wait(self._has_failed, self._clock.monotonic() + _ROUND)
        raise self._failure

    async def reasons_not_ready(self) -> tuple[str, ...]:
        """Return why the gateway can't do its work now, in one line each; empty when it can."""
        has_room = await self._disk_thread(self._intake.has_room)
        reasons = {
            "the journal failed": self._failure is not None,
            "the gateway stops": self._is_stopping,
            "what an earlier run has received is still being read": self._is_recovering,
            "there is no room on the disk of the spool (gateway.min_free_bytes)": not has_room,
            "the latest instance could not be stored": self._intake.is_failing(),
        }
        return tuple(reason for reason, is_so in reasons.items() if is_so)

    async def status(self, most_open_series: int = 0) -> GatewayStatus:
        """Return how the gateway stands, with the progress of so many open series at most."""
        tally, (open_series, open_instances) = await self._in_journal(self._tally)
        return GatewayStatus(
            started_at=self._started_at,
            uptime=self._clock.monotonic() - self._started,
            now=self._clock.utcnow(),
            monotonic=self._clock.monotonic(),
            not_ready=await self.reasons_not_ready(),
            open_series=open_series,
            progress=tuple(self._intake.open_series(most_open_series)),
            instances=InstanceSum(
                acknowledged=tally.closed + open_instances,
                open=open_instances,
                owed=tally.pending,
                delivered=tally.delivered,
                dead=tally.dead,
                discarded=tally.discarded,
            ),
            deliveries=tally.deliveries,
            deliveries_in_flight=len(self._dispatcher.in_flight),
            oldest_pending_at=tally.oldest_pending_at,
            associations=self._associations.status(),
            totals=self._totals.copy(),
            throughput=self._meter.read(self._clock.monotonic(), *self._received()),
            free_bytes=await self._of_disk(self._spool.free_bytes),
            quarantined=await self._of_disk(self._spool.quarantine_count),
            aside=self._bulkheads.aside(),
            put_aside=self._bulkheads.totals(),
        )

    def senders(self) -> tuple[list[SenderStatistics], float]:
        """Return what was seen of each sender, the latest first, and the quiet period."""
        return self._associations.senders.senders(), self._intake.quiet_period

    async def outbox(self, limit: int) -> Outbox:
        """Return what is dead and what is pending, `limit` of each at most."""
        outbox = await self._in_journal(read_outbox, self._journal, limit)
        in_flight, due_times = self._dispatcher.in_flight, self._dispatcher.due_times()
        return replace(
            outbox, entries=[self._placed(each, in_flight, due_times) for each in outbox.entries]
        )

    async def retry(self, delivery_id: str) -> str:
        """Have a dead letter delivered again; return its whole id.

        The beginning of an id is enough if no other begins so. Raises NoSuchDeadLetter,
        AmbiguousDeadLetter.
        """
        return await self._for_one(delivery_id, self._retry)

    async def retry_all(self) -> int:
        """Have every dead letter delivered again; return how many."""
        return await self._for_all(self._retry)

    def aside(self) -> Sequence[UnitAside]:
        """Return what is put aside now, the oldest first."""
        return self._bulkheads.aside()

    def retry_aside(self, unit_id: str) -> str:
        """Have what is put aside tried again; return its whole id. Raises NoSuchUnit."""
        return self._bulkheads.retry(unit_id)

    def retry_all_aside(self) -> int:
        """Have everything tried again that is put aside; return how much."""
        return self._bulkheads.retry_all()

    async def discard(self, delivery_id: str) -> str:
        """Give a dead letter up for good, and its files; otherwise as `retry`."""
        return await self._for_one(delivery_id, self._discard)

    async def discard_all(self) -> int:
        """Give every dead letter up for good; return how many."""
        return await self._for_all(self._discard)

    async def _for_one(
        self, delivery_id: str, action: Callable[[DeadLetter], Awaitable[None]]
    ) -> str:
        letters = await self._in_journal(self._journal.dead_letters)
        letter = find_dead_letter(letters, delivery_id)
        await action(letter)
        return letter.delivery_id

    async def _for_all(self, action: Callable[[DeadLetter], Awaitable[None]]) -> int:
        count = 0
        for letter in await self._in_journal(self._journal.dead_letters):
            try:
                await action(letter)
            except NoSuchDeadLetter:  # somebody else was faster
                continue
            count += 1
        return count

    async def _retry(self, letter: DeadLetter) -> None:
        try:
            owed = await self._in_journal(self._journal.revive, letter.delivery_id)
        except KeyError as error:
            raise NoSuchDeadLetter from error
        _log.info("dead letter %s is delivered again, by request", letter.delivery_id[:8])
        self._dispatcher.resume(owed)

    async def _discard(self, letter: DeadLetter) -> None:
        now = self._clock.utcnow()
        try:
            await self._in_journal(self._journal.discard, letter.delivery_id, now)
        except KeyError as error:
            raise NoSuchDeadLetter from error
        _log.warning(
            "dead letter %s is discarded, by request: its %d instances are given up",
            letter.delivery_id[:8],
            letter.instances,
        )
        self._retention.wake()

    def _placed(
        self, entry: OutboxEntry, in_flight: frozenset[str], due_times: Mapping[str, float]
    ) -> OutboxEntry:
        """Say of a pending delivery what the dispatcher does with it."""
        if entry.state is not DeliveryState.PENDING:
            return entry
        if entry.delivery_id in in_flight:
            return replace(entry, state=DeliveryState.IN_FLIGHT)
        due = due_times.get(entry.delivery_id)
        if due is None:  # after an earlier revision of its series
            return entry
        wait = timedelta(seconds=max(0.0, due - self._clock.monotonic()))
        return replace(entry, next_attempt_at=self._clock.utcnow() + wait)

    def _received(self) -> tuple[int, int]:
        totals = self._totals
        return totals.instances_stored + totals.instances_repeated, totals.bytes_received

    def _tally(self) -> tuple[Tally, tuple[int, int]]:
        # On the journal's thread no series can be written down in between.
        return self._journal.tally(), self._intake.open_counts()

    async def _in_journal(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._journal_thread(function, *args, **kwargs)
        except JournalFailed as error:
            self._failure = error
            self._has_failed.set()
            raise

    async def _of_disk(self, function: Callable[[], int]) -> int | None:
        try:
            return await self._disk_thread(function)
        except SpoolUnavailable:
            return None
