"""What the processes of a server with several workers use, added up, as Prometheus names it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

_START_TIME = "process_start_time_seconds"
_CPU_TIME = "process_cpu"  # the library adds _seconds_total
# Fields of /proc/PID/stat after the name: the times of children that have ended (proc(5)).
_OF_CHILDREN = slice(13, 15)


class ProcessGroupCollector(Collector):
    """The `process_*` of a parent and its children.

    Of all numbers the sum; since when is the parent's. The processor time of workers that have
    ended stays in the sum, so that it never falls. `parent` is a process ID.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def collect(self) -> Iterable[Metric]:
        """Give the metrics."""
        sums: dict[str, Metric] = {}
        for pid in (self._parent, *self._children()):
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                total = sums.setdefault(metric.name, metric)
                if total is not metric and metric.name != _START_TIME:
                    value = total.samples[0].value + metric.samples[0].value
                    total.samples[0] = total.samples[0]._replace(value=value)
        for name, metric in sums.items():
            if name.startswith(_CPU_TIME):
                sample = metric.samples[0]
                metric.samples[0] = sample._replace(value=sample.value + self._of_ended())
        return sums.values()

    def _children(self) -> Iterator[int]:
        for tasks in Path(f"/proc/{self._parent}/task").glob("*/children"):
            yield from map(int, tasks.read_text().split())

    def _of_ended(self) -> float:
        fields = Path(f"/proc/{self._parent}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[_OF_CHILDREN])) / os.sysconf("SC_CLK_TCK")
