"""The use case of telling the server how the gateway stands, and of doing what it asks then.

Decided in ADR 20.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from seriesgate import __version__
from seriesgate.gateway.outbox import AmbiguousDeadLetter, NoSuchDeadLetter
from seriesgate.gateway.ports import JournalFull
from seriesgate.gateway.throughput import ThroughputMeter
from seriesgate.series.delivery import DeliveryState
from seriesgate.series.heartbeat import (
    LONGEST_TEXT,
    MOST_DEAD_LETTERS,
    DeadLetterNotice,
    Heartbeat,
)

if TYPE_CHECKING:
    from seriesgate.gateway.administration import Administration
    from seriesgate.gateway.bulkhead import Bulkheads
    from seriesgate.gateway.outbox import OutboxEntry
    from seriesgate.gateway.ports import Clock
    from seriesgate.series.heartbeat import HeartbeatAnswer

_log = logging.getLogger(__name__)

# After how long a server that knows no heartbeats is asked again, in seconds: it may be newer then.
_UNKNOWN_PAUSE = 600.0
_MINUTE = 60


class HeartbeatFailed(Exception):
    """The server did not take a heartbeat. The text is one line for people."""


class HeartbeatUnknown(Exception):
    """The server knows nothing of heartbeats."""


class HeartbeatReceiver(Protocol):
    """Takes heartbeats: the server."""

    async def beat(self, heartbeat: Heartbeat) -> HeartbeatAnswer:
        """Send a heartbeat once. Raises HeartbeatFailed, HeartbeatUnknown, and nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What of the gateway's settings the heartbeat tells. `period` is in seconds."""

    period: float
    min_free_bytes: int
    quiet_period: float
    durability: Literal["power", "process"]


class Heartbeats:
    """Sends heartbeats. All methods are for the event loop."""

    def __init__(
        self,
        administration: Administration,
        receiver: HeartbeatReceiver,
        clock: Clock,
        facts: GatewayFacts,
        bulkheads: Bulkheads,
    ) -> None:
        self._administration = administration
        self._receiver = receiver
        self._clock = clock
        self._facts = facts
        self._bulkheads = bulkheads
        self._closed_series = ThroughputMeter()
        self._is_failing = False

    async def run(self) -> None:
        """Send them for ever. Stops by cancellation; raises JournalFailed."""
        never = asyncio.Event()
        while True:
            pause = self._facts.period
            with self._bulkheads.unit("heartbeat", ""):
                pause = await self.once()
            await self._clock.wait(never, self._clock.monotonic() + pause)

    async def once(self) -> float:
        """Send one and do what the answer asks; return the seconds until the next."""
        heartbeat = await self._heartbeat()
        try:
            answer = await self._receiver.beat(heartbeat)
        except HeartbeatUnknown:
            return _UNKNOWN_PAUSE
        except HeartbeatFailed as error:
            if not self._is_failing:
                _log.warning("the server does not take heartbeats: %s", error)
            self._is_failing = True
            return self._facts.period
        if self._is_failing:
            _log.info("the server takes heartbeats again")
        self._is_failing = False
        for delivery_id in answer.RetryDeadLetters:
            # Somebody was faster; or there is no room, and the next answer asks again.
            with suppress(NoSuchDeadLetter, AmbiguousDeadLetter, JournalFull):
                await self._administration.retry(delivery_id)
        return self._facts.period

    async def _heartbeat(self) -> Heartbeat:
        status = await self._administration.status()
        outbox = await self._administration.outbox(MOST_DEAD_LETTERS)
        totals, now = status.totals, self._clock.monotonic()
        self._closed_series.sample(now, totals.series_closed, 0)
        series_rate = self._closed_series.read(now, totals.series_closed, 0)
        return Heartbeat(
            Version=__version__,
            StartedAt=status.started_at,
            PeriodSeconds=self._facts.period,
            NotReady=tuple(reason[:LONGEST_TEXT] for reason in status.not_ready),
            OpenSeries=status.open_series,
            PendingDeliveries=outbox.pending,
            DeadLetters=outbox.dead,
            DeadLetterList=tuple(
                _notice(entry) for entry in outbox.entries if entry.state is DeliveryState.DEAD
            ),
            SeriesClosed=totals.series_closed,
            SeriesReopened=totals.series_reopened,
            InstancesReceived=totals.instances_stored + totals.instances_repeated,
            BytesReceived=totals.bytes_received,
            SeriesPerMinute=series_rate.instances * _MINUTE,
            InstancesPerMinute=status.throughput.instances * _MINUTE,
            BytesPerMinute=status.throughput.bytes * _MINUTE,
            FreeBytes=status.free_bytes,
            MinFreeBytes=self._facts.min_free_bytes,
            RefusedAssociations={
                reason.value: times for reason, times in status.associations.refused.items()
            },
            QuietPeriod=self._facts.quiet_period,
            Durability=self._facts.durability,
        )


def _notice(entry: OutboxEntry) -> DeadLetterNotice:
    reason = "".join(character if character.isprintable() else " " for character in entry.reason)
    return DeadLetterNotice.model_validate(
        {
            "DeliveryID": entry.delivery_id,
            "SeriesInstanceUID": entry.series_instance_uid,
            "Reason": reason[:LONGEST_TEXT],
            "Since": entry.died_at,
        }
    )
