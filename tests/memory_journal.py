"""A journal in memory: it passes the contract suite, and survives what a test calls a restart."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import DeadLetter, Owed, PendingDelivery, Tally
from seriesgate.series.delivery import DeliveryState
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seriesgate.gateway.ports import Outcome
    from seriesgate.gateway.senders import SenderStatistics
    from seriesgate.series.delivery import Delivery
    from seriesgate.series.revision import SeriesRevision

SETTLED = {DeliveryState.DELIVERED, DeliveryState.DISCARDED}


@dataclass
class Entry:
    delivery: Delivery
    added: int
    copies: frozenset[InstanceCopy]
    state: DeliveryState = DeliveryState.PENDING
    reason: str = ""
    at: datetime | None = None
    is_released: bool = False

    @property
    def series(self) -> str:
        return self.delivery.report.SeriesInstanceUID

    def is_settled_before(self, moment: datetime) -> bool:
        return self.state in SETTLED and self.at is not None and self.at <= moment


class MemoryJournal:
    """Implements `Journal`. `failure`, when set, is raised by whatever writes."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._revisions: dict[str, SeriesRevision] = {}
        self._entries: dict[str, Entry] = {}
        self._by_series: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        self._closed = 0
        self._forgotten: list[Entry] = []
        self._deaths: Counter[str] = Counter()
        self._senders: tuple[list[SenderStatistics], float | None] = ([], None)

    def known(self, series_instance_uid: str) -> SeriesRevision | None:
        return self._revisions.get(series_instance_uid)

    def record(self, closed: Iterable[tuple[SeriesRevision, Delivery]]) -> None:
        self._check()
        for revision, delivery in closed:
            self._revisions[revision.series_instance_uid] = revision
            added = {
                InstanceCopy(uid, revision.instances[uid].digest)
                for uid in revision.added_instances
            }
            entry = Entry(delivery, len(added), revision.added_conflicts | added)
            self._entries[delivery.delivery_id] = entry
            self._by_series[entry.series][delivery.delivery_id] = entry
            self._closed += len(added)

    def load(self, delivery_id: str) -> Delivery:
        entry = self._entries[delivery_id]
        if entry.state in SETTLED:
            raise KeyError(delivery_id)
        return entry.delivery

    def settle(self, outcomes: Iterable[Outcome], at: datetime) -> None:
        self._check()
        for outcome in outcomes:
            entry = self._entries[outcome.delivery.delivery_id]
            if outcome.failure is None:
                entry.state, entry.at = DeliveryState.DELIVERED, at
                continue
            entry.delivery = replace(entry.delivery, attempt=entry.delivery.attempt + 1)
            entry.reason = outcome.failure.reason
            if outcome.is_final:
                entry.state, entry.at = DeliveryState.DEAD, at

    def is_delivered(self, series_instance_uid: str) -> bool:
        return all(entry.state in SETTLED for entry in self._of(series_instance_uid))

    def hold(self, series_instance_uid: str) -> None:
        self._check()
        settled = [e for e in self._of(series_instance_uid) if e.state in SETTLED]
        if settled:
            settled[-1].is_released = False

    def take_releasable(self, delivered_before: datetime) -> Mapping[str, frozenset[InstanceCopy]]:
        self._check()
        due = {
            entry.series
            for entry in self._entries.values()
            if not entry.is_released and entry.is_settled_before(delivered_before)
        }
        copies: dict[str, frozenset[InstanceCopy]] = {}
        for uid in due:
            settled = [e for e in self._of(uid) if e.is_settled_before(delivered_before)]
            copies[uid] = frozenset().union(*(entry.copies for entry in settled))
            for entry in settled:
                entry.is_released = True
        return copies

    def forget(self, delivered_before: datetime) -> int:
        self._check()
        forgotten = [
            uid
            for uid in self._revisions
            if all(e.is_settled_before(delivered_before) and e.is_released for e in self._of(uid))
        ]
        for uid in forgotten:
            del self._revisions[uid]
            self._forgotten += self._of(uid)
            for delivery_id in self._by_series.pop(uid, {}):
                del self._entries[delivery_id]
        return len(forgotten)

    def undelivered(self) -> list[Owed]:
        return [
            Owed(delivery_id, entry.series)
            for delivery_id, entry in self._entries.items()
            if entry.state is DeliveryState.PENDING
        ]

    def owed_copies(self) -> Iterator[tuple[str, InstanceCopy]]:
        for entry in self._entries.values():
            if entry.state not in SETTLED:
                yield from ((entry.series, copy) for copy in entry.copies)

    def pending(self, limit: int) -> list[PendingDelivery]:
        entries = [e for e in self._entries.values() if e.state is DeliveryState.PENDING]
        return [
            PendingDelivery(
                entry.delivery.delivery_id,
                entry.series,
                entry.delivery.report.Revision,
                entry.added,
                entry.delivery.attempt - 1,
                entry.reason,
            )
            for entry in entries[:limit]
        ]

    def dead_letters(self) -> list[DeadLetter]:
        return [
            DeadLetter(
                delivery_id,
                entry.series,
                entry.delivery.report.Revision,
                entry.added,
                entry.delivery.attempt - 1,
                entry.reason,
                entry.at,
            )
            for delivery_id, entry in self._entries.items()
            if entry.state is DeliveryState.DEAD and entry.at is not None
        ]

    def revive(self, delivery_id: str) -> Owed:
        entry = self._dead(delivery_id)
        entry.state = DeliveryState.PENDING
        return Owed(delivery_id, entry.series)

    def discard(self, delivery_id: str, at: datetime) -> None:
        entry = self._dead(delivery_id)
        entry.state, entry.at = DeliveryState.DISCARDED, at

    def tally(self) -> Tally:
        entries = [*self._entries.values(), *self._forgotten]
        added = {
            state: sum(entry.added for entry in entries if entry.state is state)
            for state in DeliveryState
        }
        return Tally(
            closed=self._closed,
            delivered=added[DeliveryState.DELIVERED],
            pending=added[DeliveryState.PENDING],
            dead=added[DeliveryState.DEAD],
            discarded=added[DeliveryState.DISCARDED],
            deliveries={
                state: sum(entry.state is state for entry in entries) for state in DeliveryState
            },
            oldest_pending_at=next(
                (
                    entry.delivery.report.ClosedAt
                    for entry in self._entries.values()
                    if entry.state is DeliveryState.PENDING
                ),
                None,
            ),
        )

    def count_death(self, unit_id: str) -> None:
        self._check()
        self._deaths[unit_id] += 1

    def deaths(self) -> Mapping[str, int]:
        return dict(self._deaths)

    def forget_death(self, unit_id: str) -> None:
        self._check()
        self._deaths.pop(unit_id, None)

    def keep_senders(self, senders: Sequence[SenderStatistics], quiet_period: float) -> None:
        self._check()
        self._senders = ([sender.copy() for sender in senders], quiet_period)

    def senders(self) -> tuple[list[SenderStatistics], float | None]:
        kept, quiet_period = self._senders
        return [sender.copy() for sender in kept], (quiet_period if kept else None)

    def _of(self, uid: str) -> list[Entry]:
        return list(self._by_series[uid].values())

    def _dead(self, delivery_id: str) -> Entry:
        self._check()
        entry = self._entries[delivery_id]
        if entry.state is not DeliveryState.DEAD:
            raise KeyError(delivery_id)
        return entry

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure
