"""The page: what the results say, in Markdown.

python -m bench.report FOLDER     writes page and chart anew from FOLDER/benchmarks.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.chart import chart
from bench.peers import (
    DURABLE_FLOOR,
    FLOOR,
    ORTHANC,
    POWER,
    PROCESS,
    PYNETDICOM,
    STORESCP,
    TUNED_STORESCP,
)
from bench.results import Results
from bench.targets import number, verdicts
from bench.workloads import (
    DEFAULT_LARGE,
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
    from collections.abc import Iterable, Iterator, Sequence

    from bench.results import Summary

_ORDER = [
    each.name
    for each in (
        *(POWER, PROCESS, STORESCP, TUNED_STORESCP, ORTHANC, PYNETDICOM),
        *(FLOOR, DURABLE_FLOOR),
    )
]
_TABLES = {
    "Orthanc sends a series": {PACS: "10 KB"},
    "DCMTK's `storescu` as it is": {DEFAULT_SMALL: "10 KB", DEFAULT_LARGE: "512 KB"},
    "DCMTK's `storescu` without Nagle's algorithm": {
        NO_DELAY_SMALL: "10 KB",
        NO_DELAY_LARGE: "512 KB",
        FIVE_SMALL: "10 KB, five associations at once",
        FIVE_LARGE: "512 KB, five associations at once",
    },
}

_INTRODUCTION = """\
# Benchmarks

The gateway beside other receivers: the same instances from the same senders, in turn, within one
run on one machine. Absolute figures are that machine's; the ratios are what counts. `make bench`
repeats all of it and writes this page; every sample is in [benchmarks.json](benchmarks.json).

![Time per instance](benchmarks.svg)
"""

_QUICK = """\
> This was a quick try: its figures are not for comparison.
"""

_METHOD = f"""\
## Method

- Receivers take turns, each started anew with an empty storage for each measurement; each round
  begins with another one. What is given is the median of all rounds, with the range in brackets.
- Time is from the start of the sending programs to their end, all of it, divided by the number of
  instances. After each measurement the instances that the receiver has stored are counted; a wrong
  number ends the run.
- The instances are MR images with complete headers, explicit VR little endian, each with UIDs of
  its own. `storescu` has its default options.
- **{POWER.name}** has `durability = "power"`: each instance is on the disk before it is
  acknowledged, in the write-ahead log up to 64 KB, beyond that in its file, synced with the folder.
  **{PROCESS.name}** has `durability = "process"`, the promise that
  DCMTK and pynetdicom make; Orthanc syncs too. Both collect, close and report series to a real
  `seriesgate server` on the same machine while they receive.
- **{STORESCP.name}** has its default options, and `--fork` for several associations.
  **{TUNED_STORESCP.name}** has what makes it faster: `TCP_NODELAY=1`, `--bit-preserving` and the
  largest PDU. **{ORTHANC.name}** has its default configuration, with a thread for each association.
  **{PYNETDICOM.name}** follows its documentation's advice: no limit for PDUs, and the bytes of the
  data set go to the file undecoded.
- **{FLOOR.name}** understands nothing: it finds the end of each message, writes what came into a
  file and answers with a constant. It is how fast a receiver in Python can be on this machine.
  **{DURABLE_FLOOR.name}** also writes each message to a file that has its size already, with a
  write that returns when the disk has it: the cheapest way to survive a loss of power.
- "Without Nagle's algorithm" is `TCP_NODELAY=1` in the environment of sender and receiver: DCMTK
  and programs built on it read it. Receivers that stall without it get
  fewer instances.
- The network is two network namespaces joined by a virtual cable, offloads as the kernel sets them.
- CPU time is that of the receiver's process and its children; memory is its peak.
"""


def render(results: Results) -> str:
    """Return the page."""
    sections = [_INTRODUCTION, _QUICK if results.quick else "", _targets(results)]
    sections += [_loopback(results, title) for title in _TABLES]
    sections += [_network(results), _latency(results), _server(results)]
    sections += [_memory(results)]
    sections += [_METHOD, _machine(results)]
    return "\n".join(section for section in sections if section)


def write(results: Results, folder: Path) -> None:
    """Write page, chart and samples into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "benchmarks.json")
    (folder / "benchmarks.md").write_text(render(results), encoding="utf-8")
    (folder / "benchmarks.svg").write_text(chart(results), encoding="utf-8")


def _targets(results: Results) -> str:
    judged = verdicts(results)
    if not judged:
        return ""
    rows = [
        (each.subject, each.target, each.measured, "yes" if each.holds else "**no**")
        for each in judged
    ]
    return _section("What it must show", _table(("", "target", "measured", "holds"), rows, "lllc"))


def _loopback(results: Results, title: str) -> str:
    parts = []
    for workload, subject in _TABLES[title].items():
        summaries = results.summaries(workload.name)
        if summaries:
            parts += [f"{subject}, on loopback:", "", *_receivers(summaries), ""]
    return _section(title, parts) if parts else ""


def _receivers(summaries: dict[str, Summary]) -> Iterator[str]:
    ours = summaries[PROCESS.name].elapsed
    head = (
        "",
        "instances",
        "ms per instance",
        "process = 1",
        "CPU: user, system (ms)",
        "peak memory (MB)",
    )
    rows = [
        (
            name,
            str(each.instances),
            f"{number(each.elapsed)} ({number(each.fastest)} to {number(each.slowest)})",
            number(each.elapsed / ours),
            f"{number(each.user)}, {number(each.system)}",
            f"{each.peak_rss / 1e6:.0f}",
        )
        for name in _ORDER
        if (each := summaries.get(name))
    ]
    return _table(head, rows, "lrrrrr")


def _network(results: Results) -> str:
    parts = []
    for mtu in MTUS:
        by_size = {
            size: summaries
            for size in NETWORK_SIZES
            if (summaries := results.summaries(network_workload(mtu, size).name))
        }
        if by_size:
            names = [name for name in _ORDER if name in next(iter(by_size.values()))]
            rows = [
                (f"{size} KB", *(number(summaries[name].elapsed) for name in names))
                for size, summaries in by_size.items()
            ]
            head = (f"MTU {mtu}, ms per instance", *names)
            parts += [*_table(head, rows, "l" + "r" * len(names)), ""]
    return _section("Default `storescu` over a network", parts) if parts else ""


def _latency(results: Results) -> str:
    figures = results.figures
    if "latency idle p50 ms" not in figures:
        return ""
    rows = [
        (subject, *(number(figures[f"latency {name} p{percent} ms"]) for percent in (50, 99)))
        for name, subject in (
            ("idle", "series of one instance, one after the other"),
            ("burst", f"{figures['series at once']:.0f} series that close at once"),
        )
    ]
    head = ("ms beyond the quiet period", "median", "p99")
    return _section("From the last C-STORE to the row", _table(head, rows, "lrr"))


def _server(results: Results) -> str:
    figures = results.figures
    if "plain server series/s" not in figures:
        return ""
    rows = [
        (subject, number(figures[f"{name} series/s"]), number(figures[f"{name} p99 ms"]))
        for name, subject in (
            ("server", "`seriesgate server`"),
            ("plain server", "FastAPI and one SQLite table: five fields, no history, no search"),
        )
    ]
    head = ("8 clients, each answer durable", "new series/s", "p99 (ms)")
    return _section("Registering at the server", _table(head, rows, "lrr"))


def _memory(results: Results) -> str:
    rows = [
        (name.rpartition(" ")[0], f"{number(value)} {name.rpartition(' ')[2]}")
        for name, value in results.figures.items()
        if name.startswith(("memory", "restart"))
    ]
    if not rows:
        return ""
    text = (
        f"Resident memory of the gateway with {results.figures['instances']:,.0f} instances, or "
        f"{results.figures['open series']:,.0f} open series, and its restart over all of them."
    )
    return _section("Memory and restart", [text, "", *_table(("", ""), rows, "lr")])


def _machine(results: Results) -> str:
    rows = [*results.machine.items(), ("rounds", str(results.rounds))]
    return _section("The machine", _table(("", ""), rows, "ll"))


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]).rstrip() + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> Iterator[str]:
    marks = {"l": "---", "r": "---:", "c": ":---:"}
    yield _row(head)
    yield _row([marks[each] for each in alignment])
    for row in rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    page_folder = Path(sys.argv[1])
    write(Results.load(page_folder / "benchmarks.json"), page_folder)
