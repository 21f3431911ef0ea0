"""What the gateway has seen of each sender: its speed, its failures, and how late its series come.

Nothing here is touched for an instance: associations keep their own numbers and are read when they
end, or when somebody asks; of series it is told when they close.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from seriesgate.gateway.fair_share import oldest_of_the_busiest_host
from seriesgate.series.pauses import PauseHistogram
from seriesgate.series.quiet_period import LateArrivals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seriesgate.gateway.ports import Clock

#: How many senders are remembered: those that came last, of as many hosts as there are.
MAX_SENDERS = 256
# Whether a sender waits for acknowledgements is tried once a day, and a few more times that day if
# it could not be told. Each trial costs one that does wait 40 ms.
_TRIALS_EVERY = timedelta(days=1)
_MOST_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connected. The AE title is printable; empty when none was given."""

    host: str
    calling_ae_title: str = ""

    def __str__(self) -> str:
        """Name the peer in a log line."""
        if not self.calling_ae_title:
            return f"connection from {self.host}"
        return f"association of {self.calling_ae_title!r} at {self.host}"


class NagleSign(StrEnum):
    """Whether a sender leaves Nagle's algorithm on (RFC 896)."""

    #: It waited for an acknowledgement that was delayed, within a message.
    ON = "on"
    #: It did not: the algorithm is off, or its messages leave in whole segments.
    NO_SIGN = "no_sign"
    #: It was not tried yet, or it pauses within messages by itself.
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over one association so far.

    `seconds` are those in which something came, `longest_pdu` and `announced_pdu` the lengths of
    P-DATA-TF PDUs in bytes: the longest that came, and what the sender takes itself (0: any).
    `incomplete` instances were broken off. `has_tried` says that an acknowledgement was delayed, to
    see what the sender does; `wait` for how long it waited for it, 0 if it did not, and None if
    that can't be told. `statuses` counts the responses other than
    Success to C-STORE by their status, as four hexadecimal digits.
    """

    stored: int = 0
    incomplete: int = 0
    bytes: int = 0
    seconds: float = 0.0
    longest_pdu: int = 0
    announced_pdu: int = 0
    has_tried: bool = False
    wait: float | None = None
    statuses: dict[str, int] = field(default_factory=dict)


class TrafficSource(Protocol):
    """An association that can be asked at any time, from any thread."""

    def traffic(self) -> Traffic:
        """Return what went over it so far."""


@dataclass(slots=True)
class SenderStatistics:
    """All that was seen of one sender since `first_at`; the times are aware UTC.

    `ended` and `refused` count its associations by how they ended and why it got none. `series` are
    those that it began and that closed, `late` the revisions that late instances made, at one
    quiet period.
    """

    host: str
    calling_ae_title: str
    first_at: datetime
    latest_at: datetime
    associations: int = 0
    stored: int = 0
    incomplete: int = 0
    bytes: int = 0
    seconds: float = 0.0
    longest_pdu: int = 0
    announced_pdu: int = 0
    trials: int = 0
    tried_at: datetime | None = None
    wait: float | None = None
    statuses: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    series: int = 0
    late: int = 0
    pauses: PauseHistogram = field(default_factory=PauseHistogram)

    @property
    def peer(self) -> Peer:
        """Who it is."""
        return Peer(self.host, self.calling_ae_title)

    @property
    def instances_per_second(self) -> float | None:
        """How many instances it sends a second on an association; None if it sent none."""
        return self.stored / self.seconds if self.stored and self.seconds > 0 else None

    @property
    def nagle(self) -> NagleSign:
        """Whether it leaves Nagle's algorithm on."""
        if self.wait is None:
            return NagleSign.CANNOT_TELL
        return NagleSign.ON if self.wait else NagleSign.NO_SIGN

    @property
    def saved_seconds(self) -> float:
        """About how long it would have waited for a receiver that delays acknowledgements.

        That is as if it waited once within each message, as long as it did when that was tried.
        """
        return (self.wait or 0.0) * self.stored

    def wants_trial(self, now: datetime) -> bool:
        """Return whether it should be tried if it waits for acknowledgements."""
        if self.tried_at is None or now - self.tried_at >= _TRIALS_EVERY:
            return True
        return self.wait is None and self.trials < _MOST_TRIALS

    def late_arrivals(self, quiet_period: float) -> LateArrivals:
        """Return how late its series come, all seen at this quiet period."""
        return LateArrivals(quiet_period, self.series, self.late, self.pauses)

    def add(self, traffic: Traffic, now: datetime) -> None:
        """Add what went over one association until now."""
        self.stored += traffic.stored
        self.incomplete += traffic.incomplete
        self.bytes += traffic.bytes
        self.seconds += traffic.seconds
        self.longest_pdu = max(self.longest_pdu, traffic.longest_pdu)
        self.announced_pdu = traffic.announced_pdu
        self.statuses.update(traffic.statuses)
        if traffic.has_tried:
            is_another_day = self.tried_at is None or now - self.tried_at >= _TRIALS_EVERY
            self.trials = 1 if is_another_day else self.trials + 1
            self.tried_at = now
            if traffic.wait is not None:
                self.wait = traffic.wait

    def copy(self) -> SenderStatistics:
        """Return the statistics as they are now."""
        return replace(
            self,
            statuses=self.statuses.copy(),
            ended=self.ended.copy(),
            refused=self.refused.copy(),
            pauses=PauseHistogram([*self.pauses.counts]),
        )

    def forget_series(self) -> None:
        """Forget how late its series came: it was at another quiet period."""
        self.series = self.late = 0
        self.pauses = PauseHistogram()


class SenderRegister:
    """Remembers the latest senders. Every method may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # The latest is the last.
        self._senders: dict[Peer, SenderStatistics] = {}
        self._open: dict[TrafficSource, Peer] = {}

    def accepted(self, peer: Peer, association: TrafficSource) -> bool:
        """Count an association that begins, and remember to ask it.

        Return whether to try if the sender waits for acknowledgements.
        """
        now = self._clock.utcnow()
        with self._lock:
            sender = self._senders.pop(peer, None)
            if sender is None:
                sender = SenderStatistics(peer.host, peer.calling_ae_title, now, now)
            sender.associations += 1
            sender.latest_at = now
            self._senders[peer] = sender
            self._open[association] = peer
            self._forget_some()
            return sender.wants_trial(now)

    def ended(self, association: TrafficSource, how: str) -> None:
        """Add up an association that has ended."""
        traffic, now = association.traffic(), self._clock.utcnow()
        with self._lock:
            peer = self._open.pop(association)
            sender = self._senders.get(peer)
            if sender is not None:
                sender.add(traffic, now)
                sender.ended[how] += 1

    def refused(self, peer: Peer, why: str) -> None:
        """Count that a sender got no association: one that had some, for anybody may knock."""
        with self._lock:
            sender = self._senders.get(peer)
            if sender is not None:
                sender.refused[why] += 1

    def series_closed(
        self, peer: Peer, pauses: PauseHistogram | None, late_by: float | None = None
    ) -> None:
        """Count a series that was closed, with the pauses in it.

        `late_by` says that it was closed before, and how many seconds it had paused since.
        """
        with self._lock:
            sender = self._senders.get(peer)
            if sender is None:
                return
            if pauses is not None:
                sender.pauses.merge(pauses)
            if late_by is None:
                sender.series += 1
            else:
                sender.late += 1
                sender.pauses.add(late_by)

    def senders(self) -> list[SenderStatistics]:
        """Return all of them, the latest first, with what went over open associations so far."""
        with self._lock:
            known = {peer: sender.copy() for peer, sender in self._senders.items()}
            associations = [*self._open.items()]
        now = self._clock.utcnow()
        for association, peer in associations:
            if peer in known:
                known[peer].add(association.traffic(), now)
        return [*reversed(known.values())]

    def recall(self, senders: Iterable[SenderStatistics]) -> None:
        """Remember those of an earlier run, the latest first. To be called before any comes."""
        with self._lock:
            for sender in reversed([*senders]):
                self._senders[sender.peer] = sender
            self._forget_some()

    def _forget_some(self) -> None:
        # An AE title is invented in no time: whoever does it may not push the others out.
        while len(self._senders) > MAX_SENDERS:
            del self._senders[oldest_of_the_busiest_host(self._senders, lambda peer: peer.host)]
