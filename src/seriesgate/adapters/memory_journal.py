"""A journal that lives as long as the process.

What it forgets at a restart is rebuilt from the spool: files are released only after delivery, so a
series that was not delivered is collected, closed and delivered again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seriesgate.series.delivery import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seriesgate.series.delivery import Delivery, PublishFailure
    from seriesgate.series.revision import SeriesRevision


@dataclass(slots=True)
class _Entry:
    delivery: Delivery
    covers: frozenset[str]
    state: DeliveryState = DeliveryState.PENDING
    reason: str = ""


class MemoryJournal:
    """Implements `Journal`."""

    def __init__(self) -> None:
        self._revisions: dict[str, SeriesRevision] = {}
        self._entries: dict[str, _Entry] = {}
        self._delivered = 0

    def known(self, series_instance_uid: str) -> SeriesRevision | None:
        """Return the latest revision of a series."""
        return self._revisions.get(series_instance_uid)

    def record(self, revision: SeriesRevision, delivery: Delivery) -> None:
        """Keep a revision and its delivery."""
        self._revisions[revision.series_instance_uid] = revision
        self._entries[delivery.delivery_id] = _Entry(delivery, frozenset(revision.instances))

    def load(self, delivery_id: str) -> Delivery:
        """Return an undelivered delivery. Raises KeyError for any other."""
        return self._entries[delivery_id].delivery

    def finish(self, delivery_id: str) -> frozenset[str]:
        """Mark as delivered and return the SOP Instance UIDs that it covers."""
        self._delivered += 1
        return self._entries.pop(delivery_id).covers

    def is_delivered(self, series_instance_uid: str) -> bool:
        """Return whether nothing of a known series is owed any more, nor a dead letter."""
        return not any(
            entry.delivery.report.SeriesInstanceUID == series_instance_uid
            for entry in self._entries.values()
        )

    def reschedule(self, delivery_id: str, failure: PublishFailure) -> None:
        """Count a failed attempt."""
        entry = self._entries[delivery_id]
        entry.delivery = replace(entry.delivery, attempt=entry.delivery.attempt + 1)
        entry.reason = failure.reason

    def bury(self, delivery_id: str, failure: PublishFailure) -> None:
        """Keep as a dead letter."""
        entry = self._entries[delivery_id]
        entry.state = DeliveryState.DEAD
        entry.reason = failure.reason

    def undelivered(self) -> list[Delivery]:
        """Return what is owed, in the order of recording."""
        return [
            entry.delivery
            for entry in self._entries.values()
            if entry.state is DeliveryState.PENDING
        ]

    def counts(self) -> Mapping[DeliveryState, int]:
        """Return how many deliveries are in each state."""
        counts = Counter(entry.state for entry in self._entries.values())
        counts[DeliveryState.DELIVERED] = self._delivered
        return {state: counts[state] for state in DeliveryState}
