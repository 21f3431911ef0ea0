"""What the benchmark must show, and whether it does.

ADR 31 says which targets are out of reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.peers import ORTHANC, POWER, PROCESS, PYNETDICOM, STORESCP
from bench.workloads import (
    DEFAULT_SMALL,
    FIVE_LARGE,
    FIVE_SMALL,
    MTUS,
    NETWORK_SIZES,
    NO_DELAY_LARGE,
    NO_DELAY_SMALL,
    PACS,
    network_workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.peers import Receiver
    from bench.results import Results
    from bench.workloads import Workload

# Up to this size, in KB, the ratio to other receivers over a network has a target.
_LARGEST_COMPARED = 64


@dataclass(frozen=True)
class Verdict:
    """One target, what was measured, and whether the target holds."""

    subject: str
    target: str
    measured: str
    holds: bool


def verdicts(results: Results) -> list[Verdict]:
    """Judge every target that the results say something about."""
    judges = (_main_job, _default_sender, _network, _no_delay, _durable, _processor, _figures)
    return [verdict for judge in judges for verdict in judge(results)]


def _main_job(results: Results) -> Iterator[Verdict]:
    subject = "Orthanc sends a series of 10 KB instances"
    yield from _faster(results, subject, PACS, PROCESS, {PYNETDICOM: 40})
    yield from _faster(results, subject, PACS, POWER, {PYNETDICOM: 40})


def _default_sender(results: Results) -> Iterator[Verdict]:
    subject = "default `storescu`, 10 KB, loopback"
    floors: dict[Receiver, float] = {STORESCP: 100, PYNETDICOM: 60}
    yield from _faster(results, subject, DEFAULT_SMALL, PROCESS, floors)
    yield from _faster(results, subject, DEFAULT_SMALL, POWER, floors)


def _no_delay(results: Results) -> Iterator[Verdict]:
    small: dict[Receiver, float] = {STORESCP: 1, PYNETDICOM: 5}
    large: dict[Receiver, float] = {STORESCP: 1, PYNETDICOM: 4, ORTHANC: 4}
    yield from _faster(results, "no Nagle, 10 KB", NO_DELAY_SMALL, PROCESS, small)
    yield from _faster(results, "no Nagle, 512 KB", NO_DELAY_LARGE, PROCESS, large)


def _durable(results: Results) -> Iterator[Verdict]:
    for workload, subject, floor in (
        (NO_DELAY_SMALL, "no Nagle, 10 KB", 3),
        (NO_DELAY_LARGE, "no Nagle, 512 KB", 2),
        (FIVE_SMALL, "no Nagle, 10 KB, five associations", 3),
        (FIVE_LARGE, "no Nagle, 512 KB, five associations", 2),
    ):
        yield from _faster(results, subject, workload, POWER, {ORTHANC: floor})


def _faster(
    results: Results,
    subject: str,
    workload: Workload,
    ours: Receiver,
    floors: dict[Receiver, float],
) -> Iterator[Verdict]:
    """Judge by how much `ours` is faster than each receiver in `floors` at least."""
    summaries = results.summaries(workload.name)
    for receiver, floor in floors.items():
        if {ours.name, receiver.name} <= summaries.keys():
            ratio = summaries[receiver.name].elapsed / summaries[ours.name].elapsed
            yield Verdict(
                f"{ours.name}: {subject}",
                f"≥ {floor:g} times {receiver.name}",
                f"{number(ratio)} times",
                ratio >= floor,
            )


def _network(results: Results) -> Iterator[Verdict]:
    by_size = {
        (mtu, size): summaries
        for mtu in MTUS
        for size in NETWORK_SIZES
        if (summaries := results.summaries(network_workload(mtu, size).name))
    }
    if not by_size:
        return
    for ours in (PROCESS, POWER):
        subject = f"{ours.name}: default `storescu` over a network"
        mtu, size = max(by_size, key=lambda at: by_size[at][ours.name].elapsed)
        slowest = by_size[mtu, size][ours.name].elapsed
        yield Verdict(
            f"{subject}, every size",
            "≤ 3 ms per instance",
            f"at most {number(slowest)} ms ({size} KB, MTU {mtu})",
            slowest <= 3,
        )
        for receiver, floor in ((PYNETDICOM, 3), (STORESCP, 20)):
            ratios = {
                at: summaries[receiver.name].elapsed / summaries[ours.name].elapsed
                for at, summaries in by_size.items()
                if at[1] <= _LARGEST_COMPARED
            }
            mtu, size = min(ratios, key=lambda at: ratios[at])
            yield Verdict(
                f"{subject}, each size up to {_LARGEST_COMPARED} KB",
                f"≥ {floor} times {receiver.name}",
                f"at least {number(ratios[mtu, size])} times ({size} KB, MTU {mtu})",
                ratios[mtu, size] >= floor,
            )


def _processor(results: Results) -> Iterator[Verdict]:
    for workload, size in ((NO_DELAY_SMALL, "10 KB"), (NO_DELAY_LARGE, "512 KB")):
        summaries = results.summaries(workload.name)
        if {PROCESS.name, STORESCP.name} <= summaries.keys():
            ours, theirs = (summaries[each.name].user for each in (PROCESS, STORESCP))
            yield Verdict(
                f"{PROCESS.name}: user CPU per instance, {size}",
                f"≤ {STORESCP.name}",
                f"{number(ours)} ms to {number(theirs)} ms",
                ours <= theirs,
            )


_LIMITS: tuple[tuple[str, str, str, Callable[[float], bool]], ...] = (
    (
        "latency idle p99 ms",
        "last C-STORE to readable row, beyond the quiet period, idle, p99",
        "≤ 50 ms",
        lambda value: value <= 50,
    ),
    (
        "latency burst p99 ms",
        "the same with {series at once:,.0f} series closing at once, p99",
        "≤ 250 ms",
        lambda value: value <= 250,
    ),
    (
        "memory after delivery MB",
        "memory after {instances:,.0f} instances, all delivered",
        "≤ 150 MB",
        lambda value: value <= 150,
    ),
    (
        "memory with all in the spool MB",
        "memory after {instances:,.0f} instances, none delivered",
        "≤ 150 MB",
        lambda value: value <= 150,
    ),
    (
        "memory with open series MB",
        "memory with {open series:,.0f} open series",
        "≤ 150 MB",
        lambda value: value <= 150,
    ),
    (
        "restart s",
        "restart with {instances:,.0f} spooled instances, until it accepts",
        "< 3 s",
        lambda value: value < 3,
    ),
    (
        "server series/s",
        "server, new series on SQLite, 8 clients",
        "≥ 1500 a second",
        lambda value: value >= 1500,
    ),
    (
        "server p99 ms",
        "server, time of one of these requests, p99",
        "≤ 50 ms",
        lambda value: value <= 50,
    ),
)


def _figures(results: Results) -> Iterator[Verdict]:
    for name, subject, target, holds in _LIMITS:
        if name in results.figures:
            value = results.figures[name]
            unit = target.partition(" ")[2].partition(" ")[2]
            measured = f"{number(value)} {unit}"
            yield Verdict(subject.format_map(results.figures), target, measured, holds(value))


def number(value: float) -> str:
    """Return a number with two digits that matter, whole from 10 on."""
    if abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}"
