"""What the server counts and times, in Prometheus' form.

No label takes a value from a request: routes are named by their patterns, methods by a short list.
Other names are those of webhooks, from the settings, and of gateways, of which some hundreds are
known at most.
So the number of series is bounded, and none tells of a patient.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from seriesgate.server.http.process_group import ProcessGroupCollector

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.registry import Collector

    from seriesgate.server.registry.store import DeletionReason, Outcome

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ServerMetrics:
    """The metrics of a server. Every method may be called from any thread.

    Of one of several workers `shared` is the folder where each writes what it counts, and any of
    them can give the sum; what a worker has counted stays in it when that ends. The library must
    have been told of the folder before it was imported, by PROMETHEUS_MULTIPROC_DIR.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._registry = CollectorRegistry()
        self._exposed = self._registry
        if shared is None:
            ProcessCollector(registry=self._registry)
        else:
            self._exposed = CollectorRegistry()
            MultiProcessCollector(self._exposed, str(shared))  # type: ignore[no-untyped-call]
            self._exposed.register(ProcessGroupCollector(os.getppid()))
        self._requests = Counter(
            "seriesgate_server_requests",
            "requests that were answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "seriesgate_server_request_seconds",
            "from the head of a request to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._reports = Counter(
            "seriesgate_server_reports",
            "reports that were accepted, by what each did to the row of its series",
            ["outcome"],
            registry=self._registry,
        )
        self._deleted = Counter(
            "seriesgate_server_series_deleted",
            "series that were deleted, by why",
            ["reason"],
            registry=self._registry,
        )
        self._task_failures = Counter(
            "seriesgate_server_task_failures",
            "units of a long-running task's work in which something unexpected went wrong, by task",
            ["task"],
            registry=self._registry,
        )
        self._database_seconds = Histogram(
            "seriesgate_server_database_seconds",
            "transactions, from begin to commit",
            ["kind"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        # To find a metric by its labels costs more than to count.
        self._requests_of = cache(self._requests.labels)
        self._request_seconds_of = cache(self._request_seconds.labels)
        self._reports_of = cache(self._reports.labels)
        self._database_seconds_of = cache(self._database_seconds.labels)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by the pattern of its route."""
        known = method if method in _METHODS else "other"
        self._requests_of(known, route, status).inc()
        self._request_seconds_of(route).observe(seconds)

    def report(self, outcome: Outcome) -> None:
        """Count an accepted report."""
        self._reports_of(outcome.value).inc()

    def deleted(self, reason: DeletionReason, count: int) -> None:
        """Count series that were deleted."""
        self._deleted.labels(reason.value).inc(count)

    def task_failures(self, task: str, count: int) -> None:
        """Count units of a task's work that have failed. With 0 the task is seen before."""
        self._task_failures.labels(task).inc(count)

    def transaction(self, kind: str, seconds: float) -> None:
        """Count a transaction: of kind `read` or `write`."""
        self._database_seconds_of(kind).observe(seconds)

    def exposition(self, also: Collector | None = None) -> bytes:
        """Give all of it as `MEDIA_TYPE`, with what `also` knows."""
        text = generate_latest(self._exposed)
        if also is not None:
            registry = CollectorRegistry()
            registry.register(also)
            text += generate_latest(registry)
        return text
