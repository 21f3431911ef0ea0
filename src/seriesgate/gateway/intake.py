"""The use case of receiving: one instance from its first fragment to its answer.

Instances come on many threads at once; the spool and the header scanner work on the caller's
thread, and only the collector is shared, behind a lock that is never held during I/O.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, TypeAlias

from seriesgate.gateway.deaths import NO_DEATHS
from seriesgate.gateway.ports import HeaderUnreadable, KeptAs, SpoolUnavailable
from seriesgate.series.model import Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seriesgate.gateway.deaths import Deaths
    from seriesgate.gateway.ports import Clock, HeaderScanner, InstanceSpool, StoreRequest
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.collector import OpenSeriesProgress, SeriesCollector
    from seriesgate.series.model import CollectedSeries, InstanceHeader

_log = logging.getLogger(__name__)


class StrayRefused(Exception):
    """An instance is of another study or patient than its open series. The text is one line."""


class RefusalReason(Enum):
    """Why an instance was not stored."""

    OUT_OF_RESOURCES = auto()
    CANNOT_UNDERSTAND = auto()


@dataclass(frozen=True, slots=True)
class Stored:
    """The instance is in the spool, as durable as promised.

    `matches_request` is False when the data set names another SOP class or instance than the
    command did; what the data set says is what counts.
    """

    matches_request: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The instance was not stored; `comment` says why, in one line without patient data."""

    reason: RefusalReason
    comment: str


StoreOutcome: TypeAlias = Stored | Refused

# What an instance is not stored for.
_REASONS = (SpoolUnavailable, HeaderUnreadable, StrayRefused)


class InstanceReception(Protocol):
    """What the Storage SCP holds while the data set of one instance arrives."""

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next fragment of the data set. Never raises for what the peer sent."""

    def finish(self) -> StoreOutcome:
        """The data set has ended: store the instance, or say why not. `answered` must follow."""

    def answered(self) -> None:
        """The peer has been told the outcome, or can't be any more: count what was stored."""

    def abandon(self) -> None:
        """The data set will never end: forget the instance."""


class InstanceReceiver(Protocol):
    """The gateway as a Storage SCP sees it: instance bytes in, stored or refused out."""

    def has_room(self) -> bool:
        """Return whether it makes sense to begin: there is room for instances now."""

    def begin(self, request: StoreRequest) -> InstanceReception:
        """Begin to receive one instance."""


class Intake:
    """Stores instances and has them counted; the thread-safe owner of the SeriesCollector.

    With `refuses_strays`, an instance is not stored that names another study or patient than the
    first of its series that is counted and still open.

    `wake_closer` is called, on any thread, when the next deadline may have come nearer. A stored
    instance can't bring it nearer once there is one, for all quiet periods are equally long; so the
    closer sleeps undisturbed while instances pour in.
    """

    def __init__(
        self,
        spool: InstanceSpool,
        collector: SeriesCollector,
        scanner_for: Callable[[str], HeaderScanner],
        clock: Clock,
        wake_closer: Callable[[], None],
        totals: GatewayTotals,
        *,
        refuses_strays: bool = False,
    ) -> None:
        self._spool = spool
        self._collector = collector
        self._refuses_strays = refuses_strays
        self._scanner_for = scanner_for
        self._clock = clock
        self._wake_closer = wake_closer
        self._totals = totals
        self._is_failing = False
        self._is_deadline_known = False
        # Series, and instances, that are quiet and not written down yet.
        self._closing_series = 0
        self._closing_instances = 0
        self._lock = threading.Lock()

    @property
    def quiet_period(self) -> float:
        """The seconds without an instance after which a series is complete."""
        return self._collector.quiet_period

    def recover(self, deaths: Deaths = NO_DEATHS) -> int:
        """Rebuild the open series, each with a fresh quiet period; return how many instances.

        Instances may be received meanwhile; nothing should be closed before this returns.
        """
        count = 0
        for instance in self._spool.recover(deaths):
            self._observe(instance)
            count += 1
        with self._lock:
            self._collector.restart_quiet_periods(self._clock.monotonic())
        return count

    def has_room(self) -> bool:
        """Return whether there is room for instances now."""
        return self._spool.has_room()

    def is_failing(self) -> bool:
        """Return whether the spool could not store the latest instance that reached it."""
        with self._lock:
            return self._is_failing

    def begin(self, request: StoreRequest) -> InstanceReception:
        """Begin to receive one instance."""
        return _Reception(self, self._spool, request, self._scanner_for, self._clock)

    def hold(self, header: InstanceHeader) -> None:
        """Keep a series open while one of its instances is under way. Raises StrayRefused."""
        with self._lock:
            if self._refuses_strays and not self._collector.agrees(header):
                raise StrayRefused(
                    "it names another study or patient than the series it says it is of"
                )
            self._collector.hold(header.series_instance_uid, self._clock.monotonic())

    def let_go(self, series_instance_uid: str) -> None:
        """End a hold whose instance came to nothing."""
        with self._lock:
            self._collector.let_go(series_instance_uid)
        self._wake_closer()

    def count(self, instance: Instance, kept_as: KeptAs) -> None:
        """Give a stored instance, whose series is held for it, to the collector."""
        is_first = self._observe(instance, kept_as)
        if is_first:
            self._wake_closer()

    def count_refusal(self, refused: Refused) -> None:
        """Count an instance that was not stored; say so once when the spool begins to fail."""
        with self._lock:
            if refused.reason is not RefusalReason.OUT_OF_RESOURCES:
                self._totals.instances_not_understood += 1
                return
            self._totals.instances_out_of_resources += 1
            was_failing, self._is_failing = self._is_failing, True
        if not was_failing:
            _log.error("instances are refused until it is over: %s", refused.comment)

    def next_deadline(self) -> float | None:
        """Return when the next open series becomes quiet, in monotonic seconds."""
        with self._lock:
            deadline = self._collector.next_deadline()
            self._is_deadline_known = deadline is not None
            return deadline

    def close_quiet(self) -> list[CollectedSeries]:
        """Return every series whose quiet period has passed."""
        with self._lock:
            closed = self._collector.close_quiet(self._clock.monotonic())
            self._closing_series += len(closed)
            self._closing_instances += _instance_count(closed)
            return closed

    def written_down(self, closed: Iterable[CollectedSeries]) -> None:
        """The journal has these series now. To be called on its thread, for exact sums."""
        closed = tuple(closed)
        with self._lock:
            self._closing_series -= len(closed)
            self._closing_instances -= _instance_count(closed)

    def open_counts(self) -> tuple[int, int]:
        """Return how many series are not written down yet and how many instances they hold."""
        with self._lock:
            return (
                len(self._collector) + self._closing_series,
                self._collector.instance_count() + self._closing_instances,
            )

    def open_series(self, limit: int) -> list[OpenSeriesProgress]:
        """Return `limit` open series at most: those that something comes of, the next to close."""
        with self._lock:
            return self._collector.progress(limit)

    def _observe(self, instance: Instance, kept_as: KeptAs | None = None) -> bool:
        """Count an instance; return whether it is the first that a closer does not know of.

        One that was received in this run says how it was kept, and is held.
        """
        was_failing = False
        with self._lock:
            self._collector.observe(instance, self._clock.monotonic(), held=kept_as is not None)
            if kept_as is not None:
                was_failing, self._is_failing = self._is_failing, False
                self._totals.bytes_received += instance.size
                if kept_as is KeptAs.NEW:
                    self._totals.instances_stored += 1
                else:
                    self._totals.instances_repeated += 1
            is_first = not self._is_deadline_known
            self._is_deadline_known = True
        if was_failing:
            _log.warning("instances are stored again")
        return is_first


def _instance_count(closed: Iterable[CollectedSeries]) -> int:
    return sum(len(collected.instances) for collected in closed)


class _Reception:
    """One instance under way, on the thread of its association.

    What is stored is counted once the peer has its answer, while that makes ready to send the next
    one. Until then the series is held open, and what dies in between is counted by the next start.
    """

    def __init__(
        self,
        intake: Intake,
        spool: InstanceSpool,
        request: StoreRequest,
        scanner_for: Callable[[str], HeaderScanner],
        clock: Clock,
    ) -> None:
        self._intake = intake
        self._request = request
        self._clock = clock
        self._scanner = scanner_for(request.transfer_syntax_uid)
        self._header: InstanceHeader | None = None
        self._refused: Refused | None = None
        self._kept_as: KeptAs | None = None
        try:
            self._file = spool.create(request)
        except SpoolUnavailable as error:
            self._refuse_at_once(error)

    def write(self, fragment: bytes | memoryview) -> None:
        if self._refused is not None:
            return
        try:
            self._file.write(fragment)
            if self._header is None:
                header = self._scanner.feed(fragment)
                if header is not None:
                    self._hold(header)
        except _REASONS as error:
            self._refuse(error)

    def finish(self) -> StoreOutcome:
        if self._refused is not None:
            return self._refused
        try:
            header = self._header or self._hold(self._scanner.finish())
            self._kept_as = self._file.keep(header)
        except _REASONS as error:
            return self._refuse(error)
        return Stored(matches_request=self._matches(header))

    def answered(self) -> None:
        if self._header is None or self._kept_as is None:
            return
        instance = Instance(
            self._header,
            self._request.calling_ae_title,
            self._file.size,
            self._clock.utcnow(),
            self._file.digest,
            calling_host=self._request.calling_host,
        )
        self._intake.count(instance, self._kept_as)

    def abandon(self) -> None:
        if self._refused is None:
            self._drop()

    def _hold(self, header: InstanceHeader) -> InstanceHeader:
        self._intake.hold(header)
        self._header = header
        return header

    def _matches(self, header: InstanceHeader) -> bool:
        request = self._request
        return header.sop_instance_uid == request.sop_instance_uid and header.sop_class_uid in {
            request.sop_class_uid,
            "",
        }

    def _refuse(self, error: Exception) -> Refused:
        refused = self._refuse_at_once(error)
        self._drop()
        return refused

    def _refuse_at_once(self, error: Exception) -> Refused:
        self._refused = _refusal(error)
        self._intake.count_refusal(self._refused)
        return self._refused

    def _drop(self) -> None:
        self._file.discard()
        if self._header is not None:
            self._intake.let_go(self._header.series_instance_uid)


def _refusal(error: Exception) -> Refused:
    if isinstance(error, SpoolUnavailable):
        return Refused(RefusalReason.OUT_OF_RESOURCES, str(error))
    return Refused(RefusalReason.CANNOT_UNDERSTAND, str(error))
