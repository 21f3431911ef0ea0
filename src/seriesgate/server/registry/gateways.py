"""What is known of the gateways: their latest heartbeats, and which dead letters shall be retried.

No connection leads into a gateway's network: what is wanted of it goes back in the answer to its
next heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from seriesgate.series.heartbeat import Heartbeat

MOST_GATEWAYS = 500
_MISSED = 3


class TooManyGateways(Exception):
    """There are as many gateways as are remembered; one must be forgotten before another comes."""


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """A gateway by its latest heartbeat.

    `retries` has, by the id of each dead letter to be retried, since when it was dead when that was
    asked for: a letter that has died anew since then has been retried.
    """

    name: str
    last_seen_at: datetime
    heartbeat: Heartbeat
    retries: Mapping[str, str]

    def is_quiet(self, now: datetime) -> bool:
        """Return whether nothing was heard for three of its periods."""
        return now - self.last_seen_at > timedelta(seconds=_MISSED * self.heartbeat.PeriodSeconds)

    @property
    def late_arrival_ratio(self) -> float:
        """Series that came again with more instances, of those that were closed."""
        return self.heartbeat.SeriesReopened / max(1, self.heartbeat.SeriesClosed)


class GatewayStore(Protocol):
    """Keeps gateways. Every method may raise StoreUnavailable, and then nothing was changed."""

    async def beat(self, name: str, heartbeat: Heartbeat, now: datetime) -> tuple[str, ...]:
        """Keep the heartbeat; give the dead letters to be retried. Raises TooManyGateways."""
        ...

    async def records(self) -> list[GatewayRecord]:
        """Give all gateways, by name."""
        ...

    async def find(self, name: str) -> GatewayRecord | None:
        """Give the gateway of this name; None if unknown."""
        ...

    async def ask_retry(self, name: str, delivery_id: str) -> bool:
        """Have a dead letter retried; give whether the gateway has told of such a one."""
        ...

    async def forget(self, name: str) -> bool:
        """Let go of a gateway; give whether it was known."""
        ...


def still_wanted(retries: Mapping[str, str], heartbeat: Heartbeat) -> dict[str, str]:
    """Give those of the retries that the gateway, by its heartbeat, has not done yet."""
    dead = {letter.DeliveryID: letter.Since.isoformat() for letter in heartbeat.DeadLetterList}
    return {key: since for key, since in retries.items() if dead.get(key) == since}


def with_retry(record: GatewayRecord, delivery_id: str) -> GatewayRecord | None:
    """Give the record with the wish that a letter be retried; None if there is no such letter."""
    for letter in record.heartbeat.DeadLetterList:
        if letter.DeliveryID == delivery_id:
            retries = {**record.retries, delivery_id: letter.Since.isoformat()}
            return replace(record, retries=retries)
    return None
