"""Groups instances into series and knows when a series has become quiet.

An association's end, the order of instances and the connection they came on mean nothing
(PS3.4 B.4): a series is complete when nothing of it has been stored for the quiet period and
nothing of it is on its way.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seriesgate.series.model import CollectedSeries, Identity, InstanceCopy, InstanceSummary
from seriesgate.series.pauses import SHORTEST, PauseHistogram

if TYPE_CHECKING:
    from datetime import datetime

    from seriesgate.series.model import Instance, InstanceHeader


@dataclass(slots=True)
class OpenSeries:
    """A series that is still being received. `in_flight` counts its instances under way."""

    in_flight: int = 0
    deadline: float | None = None
    is_queued: bool = False
    #: That of the latest instance: most often the next one's too.
    identity: Identity | None = None
    calling_ae_title: str = ""
    calling_host: str = ""
    instances: dict[str, InstanceSummary] = field(default_factory=dict)
    conflicting_copies: dict[InstanceCopy, InstanceSummary] = field(default_factory=dict)
    #: Of the first instance of each identity.
    calling_ae_titles: dict[Identity, str] = field(default_factory=dict)
    recovered_copies: set[InstanceCopy] = field(default_factory=set)
    first_instance_at: datetime | None = None
    last_instance_at: datetime | None = None
    #: Made with the first pause: few series have any.
    pauses: PauseHistogram | None = None

    def add(self, instance: Instance) -> bool:
        """Count `instance`, once however often it comes; return whether it is a new one."""
        header = instance.header
        if self.first_instance_at is None:
            self.first_instance_at = instance.stored_at
            self.calling_ae_title = instance.calling_ae_title
            self.calling_host = instance.calling_host
        identity = self.identity
        if identity is None or not _is_of(header, identity):
            identity = self.identity = Identity(header.study_instance_uid, header.patient_id)
            self.calling_ae_titles.setdefault(identity, instance.calling_ae_title)
        self.last_instance_at = instance.stored_at
        if instance.is_recovered:
            self.recovered_copies.add(instance.copy)
        summary = InstanceSummary(instance.size, header.instance_number, instance.digest, identity)
        first = self.instances.setdefault(header.sop_instance_uid, summary)
        if first.digest != instance.digest:
            self.conflicting_copies.setdefault(instance.copy, summary)
        return first is summary

    def agrees_with(self, header: InstanceHeader) -> bool:
        """Return whether an instance is of the study and patient that the first one named."""
        first = next(iter(self.calling_ae_titles), None)
        return first is None or _is_of(header, first)


@dataclass(frozen=True, slots=True)
class OpenSeriesProgress:
    """How far an open series is: its distinct instances, and those under way.

    `deadline` is the monotonic time at which it closes if nothing comes; None while something of it
    is under way.
    """

    series_instance_uid: str
    calling_ae_title: str
    instances: int
    in_flight: int
    deadline: float | None


class SeriesCollector:
    """Holds every open series and closes each after `quiet_period` seconds of quiet.

    It knows no clock: `now` is a monotonic time in seconds, given with each call. Nothing here is
    polled: `next_deadline` is the exact time at which `close_quiet` has something to return.
    It is not thread-safe; its owner guards it.
    """

    def __init__(self, quiet_period: float) -> None:
        if quiet_period < 0:
            raise ValueError("the quiet period must not be negative")
        self._quiet_period = quiet_period
        # So long after its deadline is a series that has paused; a negative time is before it.
        self._paused_after = SHORTEST - quiet_period
        self._open: dict[str, OpenSeries] = {}
        self._instances = 0
        # (deadline, SeriesInstanceUID): at most one entry per series, and it may be too early, for
        # when a deadline moves on, its entry is put right only once it comes to the top.
        self._queue: list[tuple[float, str]] = []

    @property
    def quiet_period(self) -> float:
        """The seconds without an instance after which a series is complete."""
        return self._quiet_period

    def __len__(self) -> int:
        """Return the number of open series."""
        return len(self._open)

    def instance_count(self) -> int:
        """Return the number of distinct instances in all open series."""
        return self._instances

    def progress(self, limit: int) -> list[OpenSeriesProgress]:
        """Return `limit` open series at most: those that something comes of, the next to close."""
        first = heapq.nsmallest(limit, self._open.items(), key=_closes_after)
        return [
            OpenSeriesProgress(
                uid,
                series.calling_ae_title,
                len(series.instances),
                series.in_flight,
                None if series.in_flight else series.deadline,
            )
            for uid, series in first
        ]

    def hold(self, series_instance_uid: str, now: float) -> None:
        """Keep a series open: one of its instances is under way, its data set has not ended yet."""
        series = self._open.get(series_instance_uid)
        if series is None:
            series = self._open[series_instance_uid] = OpenSeries()
        elif not series.in_flight:
            self._note_pause(series, now)
        series.in_flight += 1

    def agrees(self, header: InstanceHeader) -> bool:
        """Return whether an instance is of the study and patient that its open series is of.

        That is what the first of it said. True while nothing of the series is counted.
        """
        series = self._open.get(header.series_instance_uid)
        return series is None or series.agrees_with(header)

    def let_go(self, series_instance_uid: str) -> None:
        """End a `hold` whose instance came to nothing. The quiet period goes on as it was."""
        series = self._open[series_instance_uid]
        series.in_flight -= 1
        if series.in_flight == 0:
            if series.deadline is None:
                del self._open[series_instance_uid]
            else:
                self._enqueue(series_instance_uid, series)

    def observe(self, instance: Instance, now: float, *, held: bool = False) -> None:
        """Count a stored instance and start its series' quiet period anew.

        `held` says that a `hold` for this instance ends with it.
        """
        uid = instance.header.series_instance_uid
        series = self._open.get(uid)
        if series is None:
            series = self._open[uid] = OpenSeries()
        if held:
            series.in_flight -= 1
        elif not series.in_flight:
            self._note_pause(series, now)
        self._instances += series.add(instance)
        series.deadline = now + self._quiet_period
        if series.in_flight == 0:
            self._enqueue(uid, series)

    def restart_quiet_periods(self, now: float) -> None:
        """Start the quiet period of every open series anew, as if each had just been observed."""
        for series in self._open.values():
            if series.deadline is not None:
                series.deadline = now + self._quiet_period

    def next_deadline(self) -> float | None:
        """Return when the next series becomes quiet, or None while nothing can."""
        while self._queue:
            deadline, uid = self._queue[0]
            series = self._open[uid]
            if series.in_flight:
                heapq.heappop(self._queue)
                series.is_queued = False
            elif series.deadline is not None and series.deadline > deadline:
                heapq.heapreplace(self._queue, (series.deadline, uid))
            else:
                return deadline
        return None

    def close_quiet(self, now: float) -> list[CollectedSeries]:
        """Return and forget every series whose quiet period has passed, the longest quiet first."""
        closed = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, uid = heapq.heappop(self._queue)
            series = self._open.pop(uid)
            self._instances -= len(series.instances)
            closed.append(_collected(uid, series))
        return closed

    def _note_pause(self, series: OpenSeries, now: float) -> None:
        """Something of a series comes of which nothing was under way: count the pause before it."""
        deadline = series.deadline
        if deadline is not None and now - deadline >= self._paused_after:
            if series.pauses is None:
                series.pauses = PauseHistogram()
            series.pauses.add(now - deadline + self._quiet_period)

    def _enqueue(self, uid: str, series: OpenSeries) -> None:
        if not series.is_queued and series.deadline is not None:
            heapq.heappush(self._queue, (series.deadline, uid))
            series.is_queued = True


def _is_of(header: InstanceHeader, identity: Identity) -> bool:
    return (
        header.study_instance_uid == identity.study_instance_uid
        and header.patient_id == identity.patient_id
    )


def _closes_after(entry: tuple[str, OpenSeries]) -> float:
    _, series = entry
    return 0.0 if series.in_flight or series.deadline is None else series.deadline


def _collected(uid: str, series: OpenSeries) -> CollectedSeries:
    if series.first_instance_at is None or series.last_instance_at is None:
        raise AssertionError("a series without an instance has no deadline")
    # Handed on, not copied: a series may have a million instances.
    return CollectedSeries(
        series_instance_uid=uid,
        calling_ae_title=series.calling_ae_title,
        calling_host=series.calling_host,
        pauses=series.pauses,
        instances=series.instances,
        conflicting_copies=series.conflicting_copies,
        calling_ae_titles=series.calling_ae_titles,
        recovered_copies=series.recovered_copies,
        first_instance_at=series.first_instance_at,
        last_instance_at=series.last_instance_at,
    )
