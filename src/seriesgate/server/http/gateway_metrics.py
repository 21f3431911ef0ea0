"""How the gateways stand, in Prometheus' form: for those that Prometheus does not reach itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from seriesgate.server.registry.gateways import GatewayRecord

_PREFIX = "seriesgate_server_gateway_"
_MEANINGS = {
    "last_seen_timestamp_seconds": "when its last heartbeat came, since 1970",
    "quiet": "1 when nothing was heard for three of its periods",
    "dead_letters": "its reports that the server has refused for good, by its last heartbeat",
    "pending_deliveries": "its reports that are still to be delivered, by its last heartbeat",
    "late_arrival_ratio": "series that came again with more, of those that it has closed",
}


class GatewayCollector(Collector):
    """The metrics of gateways, as of `now`: one of each kind for every gateway in `records`."""

    def __init__(self, records: Iterable[GatewayRecord], now: datetime) -> None:
        self._records = list(records)
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield a family for each kind, even where no gateway is known."""
        families = {
            name: GaugeMetricFamily(_PREFIX + name, meaning, labels=["gateway"])
            for name, meaning in _MEANINGS.items()
        }
        for record in self._records:
            values = {
                "last_seen_timestamp_seconds": record.last_seen_at.timestamp(),
                "quiet": float(record.is_quiet(self._now)),
                "dead_letters": record.heartbeat.DeadLetters,
                "pending_deliveries": record.heartbeat.PendingDeliveries,
                "late_arrival_ratio": record.late_arrival_ratio,
            }
            for name, value in values.items():
                families[name].add_metric([record.name], value)
        yield from families.values()
