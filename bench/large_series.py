"""What a closing costs by the size of its series: CPU time, wall time and memory.

Prints for series of several sizes what the first closing takes, what one late instance takes then,
and the longest time for which releasing and forgetting keep the journal's thread. The instances are
numbered without gaps, or with every second number, so that each is a range of its own. The journal
is on disk, and synced at each commit.

    python bench/large_series.py [--sizes 1000 100000 1000000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.gateway.closer import report_of
from seriesgate.gateway.ports import Outcome
from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.model import CollectedSeries, Identity, InstanceSummary
from seriesgate.series.revision import next_revision

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SERIES = "1.2.826.0.1.3680043.8.498.1"
IDENTITY = Identity("1.2.826.0.1.3680043.8.498.2", b"A/17")
AT = datetime(2026, 1, 1, tzinfo=UTC)
LATE = 50


class Cost(NamedTuple):
    """What something took: seconds of CPU and of the clock, and MiB by which the peak grew."""

    cpu: float
    wall: float
    grown: float


def measured(action: Callable[[], T]) -> tuple[T, Cost]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    result = action()
    cost = time.process_time() - cpu, time.perf_counter() - wall
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    return result, Cost(*cost, grown / 1024)


def collected(first: int, count: int, step: int) -> CollectedSeries:
    return CollectedSeries(
        series_instance_uid=SERIES,
        calling_ae_title="BENCH",
        instances={
            f"{SERIES}.{number:07}": InstanceSummary(
                524_288, number * step, number.to_bytes(16, "big"), IDENTITY
            )
            for number in range(first, first + count)
        },
        conflicting_copies={},
        calling_ae_titles={IDENTITY: "BENCH"},
        recovered_copies=frozenset(),
        first_instance_at=AT,
        last_instance_at=AT,
    )


def close(journal: SqliteJournal, came: CollectedSeries) -> Delivery:
    """Close a series as the gateway does, but for reading the description of a file."""
    made = next_revision(journal.known(came), came, AT)
    if made is None:
        raise AssertionError("each closing brings something new")
    report = report_of(made, "bench")
    delivery = Delivery(delivery_id_of(report), report)
    journal.record([(made, delivery)])
    return delivery


def longest(step: Callable[[], object]) -> tuple[float, float]:
    """Run `step` until it says that there is no more; give the longest of all, and their sum."""
    times = []
    while True:
        more, cost = measured(step)
        times.append(cost.wall)
        if not more:
            return max(times), sum(times)


def examine(path: Path, size: int, step: int) -> None:
    with closing(SqliteJournal(path, is_expected=False)) as journal:
        came = collected(0, size, step)
        delivery, first = measured(lambda: close(journal, came))
        deliveries = [delivery]
        costs = []
        for number in range(LATE):
            late = collected(size + 7 * number, 1, step)
            delivery, cost = measured(lambda late=late: close(journal, late))  # type: ignore[misc]
            deliveries.append(delivery)
            costs.append(cost)
        journal.settle([Outcome(each) for each in deliveries[1:]], AT)
        _, release_late = measured(lambda: journal.take_releasable(AT))
        journal.settle([Outcome(deliveries[0])], AT)
        release = longest(lambda: journal.take_releasable(AT))
        forget = longest(lambda: journal.forget(AT))
    cpu = statistics.median(cost.cpu for cost in costs) * 1000
    worst = max(cost.cpu for cost in costs) * 1000
    wall = statistics.median(cost.wall for cost in costs) * 1000
    print(
        f"{size:>9,}  {'all' if step == 1 else 'odd':>7}"
        f"  {first.cpu:>7.2f}  {first.grown:>6.0f}"
        f"  {cpu:>8.2f}  {worst:>8.2f}  {wall:>8.2f}  {max(c.grown for c in costs):>6.1f}"
        f"  {release_late.wall * 1000:>8.1f}  {release[0] * 1000:>8.1f}  {forget[0] * 1000:>8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where the journals are made; a real disk")
    arguments = parser.parse_args()
    print("                    first closing   one late instance                      longest step")
    print(
        "instances  numbers    CPU s     MiB    CPU ms     worst   wall ms     MiB"
        "   its ms  release    forget"
    )
    for size in arguments.sizes:
        for step in (1, 2):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                examine(Path(folder) / "journal.db", size, step)


if __name__ == "__main__":
    main()
