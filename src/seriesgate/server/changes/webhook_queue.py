"""The queue of what is owed to webhooks: durable, in the database, for several servers at once.

The changes of series are a log without gaps; each webhook has a position in it. What lies before
the position is delivered, owed or dead, one row each; what lies after it has no row yet. So a
registration costs nothing for a webhook, and one that is down for a week fills no table.

Of one series only the oldest change that is owed is ever claimed: they arrive in order. A claim is
a time until which no one else claims it; a server that dies leaves it to the others then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, insert, select, update

from seriesgate.series.delivery import DeliveryState
from seriesgate.server.sql.read import read_changes, read_latest_change
from seriesgate.server.sql.tables import series_changes, webhook_deliveries, webhook_positions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from seriesgate.server.registry.store import FoundChange
    from seriesgate.server.sql.database import SqlDatabase

#: Longer than any attempt takes.
_LEASE = timedelta(seconds=60)
#: A deletion is told after this time, when no attempt with what was deleted is under way any more.
_ATTEMPTS_ARE_OVER = timedelta(seconds=20)
_MOST_OWED = 1000
_FAN_OUT = 200

_COLUMNS = webhook_deliveries.c


@dataclass(frozen=True, slots=True)
class Claim:
    """A change that this server shall deliver now. `attempt` counts from 1."""

    webhook: str
    change: FoundChange
    attempt: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A change that a webhook's receiver has refused."""

    sequence: int
    series_instance_uid: str
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """How many changes are owed to a webhook and how many are dead, and the latest failure."""

    pending: int
    dead: int
    latest_failure: str | None


class WebhookQueue:
    """The queue in `database`. Every method may raise StoreUnavailable."""

    def __init__(self, database: SqlDatabase[Any, Any]) -> None:
        self._database = database

    async def claim(self, webhook: str, now: datetime, *, limit: int) -> list[Claim]:
        """Give what is due, at most `limit`, the longest due first. It is this server's now.

        A webhook that is not known yet starts with the changes that come after this.
        """

        def work(connection: Connection) -> list[Claim]:
            _fan_out(connection, webhook, now)
            return _claim(connection, webhook, now, limit)

        return await self._database.write(work)

    async def finish(self, claim: Claim) -> None:
        """Forget what was delivered."""
        await self._database.write(
            lambda connection: connection.execute(delete(webhook_deliveries).where(_is(claim)))
        )

    async def reschedule(self, claim: Claim, due_at: datetime, reason: str) -> None:
        """Put what failed back until `due_at`."""
        await self._update(claim, DueAt=due_at, Attempt=claim.attempt + 1, Reason=reason)

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make a dead letter of what was refused. The later changes of its series go on."""
        await self._update(claim, State=DeliveryState.DEAD.value, Reason=reason)

    async def retry(self, webhook: str, now: datetime) -> int:
        """Make every dead letter due, and what waits for its next attempt; give how many.

        A dead letter comes after what was delivered of its series meanwhile.
        """

        def work(connection: Connection) -> int:
            again = (
                update(webhook_deliveries)
                .where(_COLUMNS.Webhook == webhook, _COLUMNS.State == DeliveryState.DEAD.value)
                .values(State=DeliveryState.PENDING.value, Attempt=1, DueAt=now)
            )
            sooner = (
                update(webhook_deliveries)
                .where(
                    _COLUMNS.Webhook == webhook,
                    _COLUMNS.State == DeliveryState.PENDING.value,
                    _COLUMNS.Reason.is_not(None),
                    _COLUMNS.DueAt > now + _LEASE,  # a claim may be under way until then
                )
                .values(DueAt=now)
            )
            waiting = connection.execute(sooner).rowcount
            return waiting + connection.execute(again).rowcount

        return await self._database.write(work)

    async def state(self, webhook: str) -> QueueState:
        """Give how a webhook stands. What has no row yet counts as pending."""

        def work(connection: Connection) -> QueueState:
            states = (
                select(_COLUMNS.State, func.count().label("number"))
                .where(_COLUMNS.Webhook == webhook)
                .group_by(_COLUMNS.State)
            )
            counts = {row.State: row.number for row in connection.execute(states)}
            latest = (
                select(_COLUMNS.Reason)
                .where(_COLUMNS.Webhook == webhook, _COLUMNS.Reason.is_not(None))
                .order_by(_COLUMNS.DueAt.desc())
                .limit(1)
            )
            position = connection.execute(_position(webhook)).scalar_one_or_none()
            behind = 0 if position is None else _count_after(connection, position)
            return QueueState(
                counts.get(DeliveryState.PENDING.value, 0) + behind,
                counts.get(DeliveryState.DEAD.value, 0),
                connection.execute(latest).scalar_one_or_none(),
            )

        return await self._database.read(work)

    async def dead_letters(self, webhook: str, *, limit: int) -> list[DeadLetter]:
        """Give the oldest dead letters."""
        statement = (
            select(_COLUMNS.Sequence, _COLUMNS.SeriesInstanceUID, _COLUMNS.Attempt, _COLUMNS.Reason)
            .where(_COLUMNS.Webhook == webhook, _COLUMNS.State == DeliveryState.DEAD.value)
            .order_by(_COLUMNS.Sequence)
            .limit(limit)
        )
        return await self._database.read(
            lambda connection: [DeadLetter(*row) for row in connection.execute(statement)]
        )

    async def _update(self, claim: Claim, **values: Any) -> None:
        statement = update(webhook_deliveries).where(_is(claim)).values(**values)
        await self._database.write(lambda connection: connection.execute(statement))


def _position(webhook: str) -> Any:
    return select(webhook_positions.c.Sequence).where(webhook_positions.c.Webhook == webhook)


def _count_after(connection: Connection, sequence: int) -> int:
    """Count the changes over a number. Numbers tell too many: those of deleted series are gone."""
    count = select(func.count()).where(series_changes.c.Sequence > sequence)
    number: int = connection.execute(count).scalar_one()
    return number


def _fan_out(connection: Connection, webhook: str, now: datetime) -> None:
    """Give the next changes of the log a row each, while few are owed."""
    positions = webhook_positions
    found = connection.execute(_position(webhook).with_for_update(skip_locked=True)).scalar()
    if found is None:
        if connection.execute(_position(webhook)).scalar() is None:
            latest = read_latest_change(connection)
            connection.execute(
                insert(positions).values(Webhook=webhook, Sequence=latest, SeenAt=now)
            )
        return  # or another server does it now
    owed = select(func.count()).where(
        _COLUMNS.Webhook == webhook, _COLUMNS.State == DeliveryState.PENDING.value
    )
    if connection.execute(owed).scalar_one() >= _MOST_OWED:
        return
    following = (
        select(series_changes)
        .where(series_changes.c.Sequence > found)
        .order_by(series_changes.c.Sequence)
        .limit(_FAN_OUT)
    )
    rows = [
        {
            "Webhook": webhook,
            "Sequence": row.Sequence,
            "SeriesInstanceUID": row.SeriesInstanceUID,
            "State": DeliveryState.PENDING.value,
            "Attempt": 1,
            "DueAt": now if row.Digest else max(now, row.ChangedAt + _ATTEMPTS_ARE_OVER),
        }
        for row in connection.execute(following)
    ]
    if rows:
        connection.execute(insert(webhook_deliveries), rows)
        connection.execute(
            update(positions)
            .where(positions.c.Webhook == webhook)
            .values(Sequence=rows[-1]["Sequence"])
        )


def _claim(connection: Connection, webhook: str, now: datetime, limit: int) -> list[Claim]:
    earlier = webhook_deliveries.alias("earlier")
    due = (
        select(_COLUMNS.Sequence, _COLUMNS.Attempt)
        .where(
            _COLUMNS.Webhook == webhook,
            _COLUMNS.State == DeliveryState.PENDING.value,
            _COLUMNS.DueAt <= now,
            ~exists().where(
                earlier.c.Webhook == webhook,
                earlier.c.SeriesInstanceUID == _COLUMNS.SeriesInstanceUID,
                earlier.c.State == DeliveryState.PENDING.value,
                earlier.c.Sequence < _COLUMNS.Sequence,
            ),
        )
        .order_by(_COLUMNS.DueAt, _COLUMNS.Sequence)
        .limit(limit)
        .with_for_update(skip_locked=True, of=webhook_deliveries)
    )
    rows = connection.execute(due).all()
    if rows:
        numbers = [row.Sequence for row in rows]
        connection.execute(
            update(webhook_deliveries)
            .where(_COLUMNS.Webhook == webhook, _COLUMNS.Sequence.in_(numbers))
            .values(DueAt=now + _LEASE)
        )
    attempts = {row.Sequence: row.Attempt for row in rows}
    changes = (read_changes(connection, row.Sequence - 1, 1) for row in rows)
    # Of a series that was deleted just now there is no change any more, nor anything owed.
    return [
        Claim(webhook, change, attempts[change.sequence])
        for change in chain.from_iterable(changes)
        if change.sequence in attempts
    ]


def _is(claim: Claim) -> ColumnElement[bool]:
    is_webhook: ColumnElement[bool] = _COLUMNS.Webhook == claim.webhook
    return is_webhook & (_COLUMNS.Sequence == claim.change.sequence)
