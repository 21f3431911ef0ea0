"""The outbox as whoever operates the gateway sees it: what is owed, what is dead, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seriesgate.series.delivery import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from seriesgate.gateway.ports import DeadLetter, Journal


# What a log line shows of an id is the least that names a dead letter.
_MIN_LENGTH = 8


class NoSuchDeadLetter(Exception):
    """No dead letter has this id, or begins with it."""


class AmbiguousDeadLetter(Exception):
    """Several dead letters have ids that begin like this."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A delivery that the server does not have yet. `instances` counts those it reports first.

    `attempts` were made, and `reason` says why the latest failed. `next_attempt_at` is known while
    a gateway runs, of the first delivery of each series; `died_at` of a dead letter.
    """

    delivery_id: str
    series_instance_uid: str
    revision: int
    instances: int
    state: DeliveryState
    attempts: int
    reason: str
    next_attempt_at: datetime | None = None
    died_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outbox:
    """How many deliveries are dead and pending; the first of them, the oldest first."""

    dead: int
    pending: int
    entries: Sequence[OutboxEntry]


def read_outbox(journal: Journal, limit: int) -> Outbox:
    """Return the outbox with `limit` dead letters and `limit` pending deliveries at most.

    Blocks. Raises JournalFailed.
    """
    dead = journal.dead_letters()
    pending = journal.pending(limit)
    return Outbox(
        dead=len(dead),
        pending=journal.tally().deliveries[DeliveryState.PENDING],
        entries=[
            *(
                OutboxEntry(
                    letter.delivery_id,
                    letter.series_instance_uid,
                    letter.revision,
                    letter.instances,
                    DeliveryState.DEAD,
                    letter.attempts,
                    letter.reason,
                    died_at=letter.died_at,
                )
                for letter in dead[:limit]
            ),
            *(
                OutboxEntry(
                    owed.delivery_id,
                    owed.series_instance_uid,
                    owed.revision,
                    owed.instances,
                    DeliveryState.PENDING,
                    owed.attempts,
                    owed.reason,
                )
                for owed in pending
            ),
        ],
    )


def find_dead_letter(letters: Sequence[DeadLetter], delivery_id: str) -> DeadLetter:
    """Return the one whose id begins so. Raises NoSuchDeadLetter, AmbiguousDeadLetter."""
    if len(delivery_id) < _MIN_LENGTH:
        raise NoSuchDeadLetter
    found = [letter for letter in letters if letter.delivery_id.startswith(delivery_id)]
    if not found:
        raise NoSuchDeadLetter
    if len(found) > 1:
        raise AmbiguousDeadLetter
    return found[0]
