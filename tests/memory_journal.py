"""A journal in memory: it passes the contract suite, and survives what a test calls a restart."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import DeadLetter, Owed, PendingDelivery, Tally
from seriesgate.series.delivery import DeliveryState
from seriesgate.series.identity_groups import MAX_LISTED
from seriesgate.series.model import InstanceCopy
from seriesgate.series.revision import KnownSeries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seriesgate.gateway.ports import Outcome
    from seriesgate.gateway.senders import SenderStatistics
    from seriesgate.series.delivery import Delivery
    from seriesgate.series.model import CollectedSeries
    from seriesgate.series.number_ranges import NumberRange
    from seriesgate.series.revision import SeriesRevision, SeriesSummary

SETTLED = {DeliveryState.DELIVERED, DeliveryState.DISCARDED}


@dataclass
class Entry:
    delivery: Delivery
    added: int
    copies: frozenset[InstanceCopy]
    state: DeliveryState = DeliveryState.PENDING
    reason: str = ""
    at: datetime | None = None
    #: Those that have to be released; none once they are.
    kept: frozenset[InstanceCopy] = frozenset()

    @property
    def is_released(self) -> bool:
        return not self.kept

    @property
    def series(self) -> str:
        return self.delivery.report.SeriesInstanceUID

    def is_settled_before(self, moment: datetime) -> bool:
        return self.state in SETTLED and self.at is not None and self.at <= moment


@dataclass
class Remembered:
    summary: SeriesSummary
    copies: set[InstanceCopy] = field(default_factory=set)
    instances: list[str] = field(default_factory=list)
    ranges: set[NumberRange] = field(default_factory=set)
    returned: set[InstanceCopy] = field(default_factory=set)


class MemoryJournal:
    """Implements `Journal`. `failure`, when set, is raised by whatever writes."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._series: dict[str, Remembered] = {}
        self._entries: dict[str, Entry] = {}
        self._by_series: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        self._closed = 0
        self._forgotten: list[Entry] = []
        self._deaths: Counter[str] = Counter()
        self._senders: tuple[list[SenderStatistics], float | None] = ([], None)

    def known(self, collected: CollectedSeries) -> KnownSeries | None:
        known = self._series.get(collected.series_instance_uid)
        if known is None:
            return None
        summary = known.summary
        if len(summary.identities.groups) == 1 and not summary.identities.others:
            (only,) = summary.identities.groups
            named = replace(only, members=tuple(known.instances[:MAX_LISTED]))
            summary = replace(summary, identities=replace(summary.identities, groups=(named,)))
        return KnownSeries(
            summary,
            frozenset(known.copies.intersection(collected.copies())),
            frozenset(known.instances).intersection(
                {*collected.instances, *collected.damaged_instances}
            ),
            tuple(sorted(known.ranges)),
        )

    def record(self, closed: Iterable[tuple[SeriesRevision, Delivery]]) -> None:
        self._check()
        for revision, delivery in closed:
            uid = revision.summary.series_instance_uid
            known = self._series.setdefault(uid, Remembered(revision.summary))
            known.summary = revision.summary
            known.ranges = known.ranges - revision.ranges_gone | revision.ranges_added
            added = {InstanceCopy(*pair) for pair in _digests(revision)}
            copies = revision.added_conflicts | added
            known.copies |= copies
            known.instances += revision.added_instances
            entry = Entry(delivery, len(added), copies, kept=copies)
            self._entries[delivery.delivery_id] = entry
            self._by_series[entry.series][delivery.delivery_id] = entry
            self._closed += len(added)
            self._hold(uid, revision.returned_copies)

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

    def hold(self, series_instance_uid: str, returned: Iterable[InstanceCopy]) -> None:
        self._check()
        self._hold(series_instance_uid, returned)

    def _hold(self, uid: str, returned: Iterable[InstanceCopy]) -> None:
        released = {
            copy
            for entry in self._of(uid)
            if entry.state in SETTLED
            for copy in entry.copies - entry.kept
        }
        if uid in self._series:
            self._series[uid].returned |= released.intersection(returned)

    def take_releasable(self, delivered_before: datetime) -> Mapping[str, frozenset[InstanceCopy]]:
        self._check()
        copies: defaultdict[str, set[InstanceCopy]] = defaultdict(set)
        for uid, known in self._series.items():
            if known.returned:
                copies[uid] |= known.returned
                known.returned = set()
        for entry in self._entries.values():
            if entry.kept and entry.is_settled_before(delivered_before):
                copies[entry.series] |= entry.kept
                entry.kept = frozenset()
        return {uid: frozenset(found) for uid, found in copies.items()}

    def forget(self, delivered_before: datetime) -> bool:
        self._check()
        forgotten = [
            uid
            for uid, known in self._series.items()
            if not known.returned
            and all(e.is_settled_before(delivered_before) and e.is_released for e in self._of(uid))
        ]
        for uid in forgotten:
            del self._series[uid]
            self._forgotten += self._of(uid)
            for delivery_id in self._by_series.pop(uid, {}):
                del self._entries[delivery_id]
        return bool(forgotten)

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


def _digests(revision: SeriesRevision) -> Iterator[tuple[str, bytes]]:
    return ((uid, summary.digest) for uid, summary in revision.added_instances.items())
