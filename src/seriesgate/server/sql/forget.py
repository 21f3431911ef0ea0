"""The SQL that forgets what nobody needs any more, a bounded piece of it at a time.

A series and its reports are not forgotten here (see `sql.deletion`). The numbered changes are, once
they are old and no webhook is owed them; so are the counts of old minutes, and webhooks that no
server has any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from seriesgate.server.sql.record import lock_totals
from seriesgate.server.sql.tables import (
    minute_counts,
    series_changes,
    server_totals,
    webhook_deliveries,
    webhook_positions,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection

BATCH = 500
"""How many changes one transaction forgets."""


def forget(connection: Connection, before: datetime) -> bool:
    """Forget changes and counts from before a time; return whether more of them may be left."""
    totals = lock_totals(connection)
    changes = series_changes.c
    needed = connection.execute(select(func.min(webhook_positions.c.Sequence))).scalar_one()
    oldest = (
        select(changes.Sequence, changes.ChangedAt)
        .where(
            changes.Sequence > totals["Forgotten"],
            changes.Sequence <= (totals["Sequence"] if needed is None else needed),
        )
        .order_by(changes.Sequence)
        .limit(BATCH)
    )
    forgotten, count = totals["Forgotten"], 0
    for row in connection.execute(oldest):
        if row.ChangedAt >= before:
            break
        forgotten, count = row.Sequence, count + 1
    connection.execute(
        delete(series_changes).where(
            changes.Sequence <= forgotten,
            changes.Sequence.not_in(select(webhook_deliveries.c.Sequence)),
        )
    )
    connection.execute(update(server_totals).values(Forgotten=forgotten))
    connection.execute(delete(minute_counts).where(minute_counts.c.Minute < before))
    return count == BATCH


def forget_webhooks(
    connection: Connection, seen: Collection[str], now: datetime, before: datetime
) -> None:
    """Note which webhooks are in the settings; forget those that were in none since a time.

    Another server may have other settings, be it only because it was not restarted yet.
    """
    positions = webhook_positions.c
    connection.execute(
        update(webhook_positions).where(positions.Webhook.in_(seen)).values(SeenAt=now)
    )
    connection.execute(delete(webhook_positions).where(positions.SeenAt < before))
    known = select(positions.Webhook)
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.Webhook.not_in(known)))
