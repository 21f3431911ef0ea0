"""The status of the gateway in Prometheus' form.

Labels have values of enumerations, and statuses of C-STORE, only: their number is bounded, and
none tells of a patient.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from seriesgate.gateway.totals import BOUNDS
from seriesgate.series.delivery import DeliveryState, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from seriesgate.gateway.administration import GatewayStatus
    from seriesgate.gateway.totals import Histogram

MEDIA_TYPE = CONTENT_TYPE_LATEST
_PREFIX = "seriesgate_gateway_"


def exposition(status: GatewayStatus) -> bytes:
    """Return all metrics as `MEDIA_TYPE`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_StatusCollector(status))
    return generate_latest(registry)


class _StatusCollector(Collector):
    def __init__(self, status: GatewayStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        yield from self._received()
        yield from self._collected()
        yield from self._delivered()
        yield from self._pictures()
        yield from self._aside()
        yield from self._health()

    def _received(self) -> Iterator[Metric]:
        totals, associations = self._status.totals, self._status.associations
        yield _gauge("associations", "associations now", associations.open)
        yield _counter("associations_accepted", "associations that began", associations.accepted)
        yield _counters(
            "associations_ended",
            "associations that were over, by how each ended; `released` is the good one",
            "how",
            {how.value: count for how, count in associations.ended.items()},
        )
        yield _counters(
            "associations_refused",
            "connections that got no association, by reason",
            "reason",
            {reason.value: count for reason, count in associations.refused.items()},
        )
        yield _counters(
            "instances_received",
            "instances that were answered, by what became of each",
            "outcome",
            {
                "stored": totals.instances_stored,
                "repeated": totals.instances_repeated,
                "out_of_resources": totals.instances_out_of_resources,
                "not_understood": totals.instances_not_understood,
            },
        )
        yield _counters(
            "store_failures",
            "responses to C-STORE other than Success, by status (PS3.7 Annex C, hexadecimal)",
            "status",
            associations.store_statuses,
        )
        yield _counter("received_bytes", "data sets that were stored", totals.bytes_received)

    def _collected(self) -> Iterator[Metric]:
        totals = self._status.totals
        yield _gauge("open_series", "series that are not complete yet", self._status.open_series)
        yield _counters(
            "series_closed",
            "series that became quiet: new ones, those with more than before, those without",
            "kind",
            {
                "new": totals.series_closed - totals.series_reopened,
                "revised": totals.series_reopened,
                "unchanged": totals.series_repeated,
            },
        )
        yield _counter(
            "series_with_gaps",
            "closings with gaps between the Instance Numbers",
            totals.series_with_gaps,
        )
        yield _counter(
            "instances_late",
            "instances that came after an earlier revision of their series was closed",
            totals.instances_late,
        )
        yield _counter(
            "instances_conflicting",
            "instances that came again with other content",
            totals.instances_conflicting,
        )
        yield _counter(
            "instances_inconsistent",
            "instances that name another study or patient than most of their series",
            totals.instances_inconsistent,
        )
        yield _counter(
            "instances_damaged",
            "instances whose files were found damaged",
            totals.instances_damaged,
        )

    def _delivered(self) -> Iterator[Metric]:
        status = self._status
        oldest = status.oldest_pending_at
        kept = (state for state in DeliveryState if state is not DeliveryState.IN_FLIGHT)
        yield _gauges(
            "deliveries",
            "deliveries in each state, those of earlier runs too",
            "state",
            {state.value: status.deliveries[state] for state in kept},
        )
        yield _gauge(
            "deliveries_in_flight",
            "deliveries that are being tried, of those pending",
            status.deliveries_in_flight,
        )
        yield _counters(
            "delivery_attempts",
            "attempts to deliver, by outcome: delivered, or the kind of the failure",
            "outcome",
            {
                "delivered": status.totals.attempts_delivered,
                **{kind.value: status.totals.attempts_failed[kind] for kind in FailureKind},
            },
        )
        yield _histogram(
            "delivery_attempt_seconds",
            "how long attempts to deliver took",
            status.totals.attempt_seconds,
        )
        yield _histogram(
            "delivery_seconds",
            "from the close of a series to its delivery",
            status.totals.delivery_seconds,
        )
        yield _gauge(
            "oldest_pending_seconds",
            "time since the series that is owed the longest was closed; 0 when none is",
            0.0 if oldest is None else max(0.0, (status.now - oldest).total_seconds()),
        )

    def _aside(self) -> Iterator[Metric]:
        status = self._status
        yield _gauge("aside", "units of work that are put aside now", len(status.aside))
        yield _counters(
            "put_aside",
            "units of work in which something unexpected went wrong, by task",
            "task",
            status.put_aside,
        )

    def _pictures(self) -> Iterator[Metric]:
        totals = self._status.totals
        yield _counters(
            "previews",
            "pictures of series: made, failed, or dropped because others came too fast",
            "outcome",
            {
                "made": totals.previews_made,
                "failed": totals.previews_failed,
                "dropped": totals.previews_dropped,
            },
        )

    def _health(self) -> Iterator[Metric]:
        status, instances = self._status, self._status.instances
        yield _gauge("ready", "1 when /readyz says so", not status.not_ready)
        yield _gauge("start_time_seconds", "since 1970", status.started_at.timestamp())
        yield _gauges(
            "instances",
            "acknowledged instances, by what has become of each",
            "state",
            {
                "open": instances.open,
                "owed": instances.owed,
                "delivered": instances.delivered,
                "dead": instances.dead,
                "discarded": instances.discarded,
            },
        )
        yield _gauge("instances_acknowledged", "the sum of all states", instances.acknowledged)
        yield _gauge("instances_add_up", "1 when it is that sum", instances.adds_up)
        if status.free_bytes is not None:
            yield _gauge("free_bytes", "free on the disk of the spool", status.free_bytes)
        if status.quarantined is not None:
            yield _gauge("quarantined_files", "entries of the quarantine", status.quarantined)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, meaning, float(value))


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, meaning, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], value)
    return family


def _counter(name: str, meaning: str, value: int) -> Metric:
    return CounterMetricFamily(_PREFIX + name, meaning, value)


def _histogram(name: str, meaning: str, histogram: Histogram) -> Metric:
    bounds = [*map(str, BOUNDS), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(_PREFIX + name, meaning, buckets, histogram.sum)


def _counters(name: str, meaning: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, meaning, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], value)
    return family
