"""The page about a server with a million series: what was measured, and whether it is in time.

python -m bench.million_page FOLDER     writes the page anew from FOLDER/million-series.json
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import server_load
from bench.machine import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.server_load import Waits

LIMIT_MS = 50.0
POST = "POST /series"
_EVERY = "every query together"
_NAME = "million-series"

_INTRODUCTION = f"""\
# A million series

How long a server lets a reader or a gateway wait with a million series stored: every kind of list,
filter and order, and posting. What took longer than {LIMIT_MS:.0f} ms is in bold.
`make bench-server` repeats it and writes this page; its figures are also in
[million-series.json](million-series.json).

- The database is filled in bulk with what a million reports leave: rows, history, indexes, totals,
  and the changes of ninety days. Then one server process with default settings runs on it; for
  PostgreSQL there is the database server beside it, with 32 MB of shared buffers. The clients are
  one process on the same machine, and take their part of its processors.
- **Alone**: each query again and again over one connection, with nothing else going on.
- **Under load**: all queries in no order, by {server_load.READERS} readers at a time, each of whom
  asks again {1000 * server_load.PAUSE:.0f} ms after the answer, while
  {server_load.POSTS_PER_SECOND} new series a second are posted at random moments, over eight
  connections: two and a half million a day.
- The time is from the request to the last byte of the answer, over a kept connection; of a post
  from the moment when it is due. A list has 100 entries where so many are found. Each post is
  durable.
- Of each query there are some tens of answers, so its p99 is the longest of them. Those of all
  queries together, and of the posts, are percentiles of many.
"""


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that half of all answers and 99 of 100 took at most; and how many there were."""

    p50: float
    p99: float
    answers: int


@dataclass(frozen=True)
class Measured:
    """What was measured with one database: each query alone, and all together while posts come."""

    series: int
    alone: dict[str, Percentiles]
    together: dict[str, Percentiles]

    @property
    def holds(self) -> bool:
        """Whether everything is in time."""
        return all(
            each.p99 <= LIMIT_MS
            for figures in (self.alone, self.together)
            for each in figures.values()
        )


def measured(series: int, alone: Waits, together: Waits) -> Measured:
    """Give the figures of all waits."""
    return Measured(series, _figures(alone), _figures(together))


def _figures(waits: Waits) -> dict[str, Percentiles]:
    by_name: dict[str, list[float]] = dict(waits.reads)
    by_name[_EVERY] = [wait for each in waits.reads.values() for wait in each]
    if waits.posts:
        by_name[POST] = waits.posts
    return {name: _percentiles(each) for name, each in by_name.items()}


def _percentiles(waits: Sequence[float]) -> Percentiles:
    in_order = sorted(1000 * wait for wait in waits)
    p50, p99 = (in_order[math.ceil(share * len(in_order)) - 1] for share in (0.5, 0.99))
    return Percentiles(round(p50, 1), round(p99, 1), len(in_order))


def table(found: Mapping[str, Measured]) -> Iterator[str]:
    """Give the lines of a table with the figures of each database."""
    names = list(found)
    columns = [f"{name}, {how}" for name in names for how in ("alone", "under load")]
    yield f"| ms: p50, p99 | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for query in next(iter(found.values())).together:
        cells = [
            _cell(figures.get(query))
            for name in names
            for figures in (found[name].alone, found[name].together)
        ]
        yield f"| {query} | {' | '.join(cells)} |"


def _cell(figures: Percentiles | None) -> str:
    if figures is None:
        return ""
    p99 = f"{figures.p99:.1f}"
    if figures.p99 > LIMIT_MS:
        p99 = f"**{p99}**"
    return f"{figures.p50:.1f}, {p99}"


def add(folder: Path, name: str, found: Measured, storage: Path) -> None:
    """Write the page anew with what was measured with a database; what it has of others stays."""
    path = folder / f"{_NAME}.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"databases": {}}
    content["databases"][name] = asdict(found)
    content["machine"] = describe(storage)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / f"{_NAME}.md").write_text(render(content), encoding="utf-8")


def render(content: Mapping[str, Any]) -> str:
    """Return the page."""
    found = {name: _loaded(each) for name, each in sorted(content["databases"].items())}
    machine = [f"| {name} | {value} |" for name, value in content["machine"].items()]
    lines = [
        _INTRODUCTION,
        *table(found),
        "",
        "## The machine",
        "",
        "| | |",
        "|---|---|",
        *machine,
    ]
    return "\n".join(lines) + "\n"


def _loaded(figures: Mapping[str, Any]) -> Measured:
    alone, together = (
        {name: Percentiles(**each) for name, each in figures[how].items()}
        for how in ("alone", "together")
    )
    return Measured(figures["series"], alone, together)


if __name__ == "__main__":
    page_folder = Path(sys.argv[1])
    figures = json.loads((page_folder / f"{_NAME}.json").read_text(encoding="utf-8"))
    (page_folder / f"{_NAME}.md").write_text(render(figures), encoding="utf-8")
