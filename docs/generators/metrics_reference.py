"""The reference page of the metrics, made from what both programs expose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families
from tests.administered import AdministeredGateway
from tests.unit.server.examples import START, heartbeat

from seriesgate.adapters.admin.metrics import exposition
from seriesgate.server.http.gateway_metrics import GatewayCollector
from seriesgate.server.http.metrics import ServerMetrics
from seriesgate.server.registry.gateways import GatewayRecord
from seriesgate.server.registry.store import DeletionReason, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

PAGE = "metrics.md"
_INTRODUCTION = """\
# Metrics

Both programs have them at `/metrics`, for Prometheus: the gateway at its administration
([how to reach it](../how-to/status.md)), the server beside its API, with a token that allows `read`
where it has tokens. The only labels from outside are the names of the server's gateways; it knows
500 at most. So the number of all is bounded, and none tells of a patient. Counters start anew with
the program; gauges of deliveries and instances do not: they are read from the journal."""


def render() -> str:
    """Return the page."""
    lines = [_INTRODUCTION]
    for title, text in (("Gateway", asyncio.run(_gateway())), ("Server", _server())):
        lines += [
            "",
            f"## {title}",
            "",
            "| metric | type | labels | meaning |",
            "|---|---|---|---|",
        ]
        lines += _rows(text)
    return "\n".join(lines) + "\n"


async def _gateway() -> str:
    gateway = AdministeredGateway()
    gateway.associations.store_answered(0xA700)
    gateway.bulkheads.put_aside("delivery", "example", "ValueError")
    return exposition(await gateway.administration.status()).decode()


def _server() -> str:
    metrics = ServerMetrics()
    metrics.request("GET", "/series", 200, 0.0)
    metrics.report(next(iter(Outcome)))
    metrics.deleted(next(iter(DeletionReason)), 1)
    metrics.task_failures("housekeeping", 1)
    metrics.transaction("read", 0.0)
    gateway = GatewayRecord("seriesgate", START, heartbeat(), {})
    return metrics.exposition(GatewayCollector([gateway], START)).decode()


def _rows(text: str) -> Iterator[str]:
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        # The gauges beside counters and histograms, with the time at which each began.
        if name.endswith("_created"):
            continue
        meaning = family.documentation.replace("|", "\\|")
        yield f"| `{name}` | {family.type} | {_labels(family)} | {meaning} |"


def _labels(family: Metric) -> str:
    if not family.samples:
        raise ValueError(f"{family.name} needs an example here, for its labels")
    names = {name: None for sample in family.samples for name in sample.labels if name != "le"}
    return ", ".join(f"`{name}`" for name in names)
