"""What is known of the gateways: their latest heartbeats, and which dead letters shall be retried.

No connection leads into a gateway's network: what is wanted of it goes back in the answer to its
next heartbeat.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from seriesgate.series.heartbeat import Heartbeat

MOST_GATEWAYS = 500
_MISSED = 3


class GatewayNameTaken(Exception):
    """Heartbeats of this name come with another token, which is valid."""


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """A gateway by its latest heartbeat.

    `retries` has, by the id of each dead letter to be retried, since when it was dead when that was
    asked for: a letter that has died anew since then has been retried. `token` is the name of the
    token that its heartbeats come with; None where none is needed.
    """

    name: str
    last_seen_at: datetime
    heartbeat: Heartbeat
    retries: Mapping[str, str]
    token: str | None = None

    def is_quiet(self, now: datetime) -> bool:
        """Return whether nothing was heard for three of its periods."""
        return now - self.last_seen_at > timedelta(seconds=_MISSED * self.heartbeat.PeriodSeconds)

    @property
    def late_arrival_ratio(self) -> float:
        """Series that came again with more instances, of those that were closed."""
        return self.heartbeat.SeriesReopened / max(1, self.heartbeat.SeriesClosed)


class GatewayStore(Protocol):
    """Keeps gateways. Every method may raise StoreUnavailable, and then nothing was changed."""

    async def beat(
        self,
        name: str,
        heartbeat: Heartbeat,
        now: datetime,
        token: str | None = None,
        valid: Collection[str] = (),
    ) -> tuple[str, ...]:
        """Keep the heartbeat; give the dead letters to be retried. Raises GatewayNameTaken.

        `token` is the name of the token that it came with, if any is needed; a name that is used
        with another one of the `valid` tokens is taken. If there are too many gateways, the one
        that `who_must_go` names is forgotten.
        """
        ...

    async def allow(self, name: str, token: str) -> bool:
        """Let the name be used with a token, and no other; give whether it was known."""
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


def owner_of(known: str | None, token: str | None, valid: Collection[str]) -> str | None:
    """Give which token a name is used with from now on. Raises GatewayNameTaken.

    `known` is the one it was used with before. One that is not valid any more keeps nobody out.
    """
    if token is None:
        return known
    if known is not None and known != token and known in valid:
        raise GatewayNameTaken
    return token


def who_must_go(gateways: Sequence[tuple[str, str | None, datetime]], token: str | None) -> str:
    """Give the name of the gateway to forget for a new one with `token`.

    `gateways` are all, each by its name, its token, and when it was last heard of. The token with
    the most of them makes room, with the one that has been silent longest: so whoever invents
    gateways loses those, and no gateway of another token.
    """
    counts = Counter(owner for _, owner, _ in gateways)
    if token in counts:
        counts[token] += 1
    greediest = max(counts, key=lambda owner: (counts[owner], owner == token))
    silent = min((at, name) for name, owner, at in gateways if owner == greediest)
    return silent[1]


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
