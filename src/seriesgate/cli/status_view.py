"""The status of a gateway as text that fits into any terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

# How many rows of each table are shown; --json has more.
_MAX_ROWS = 12
_Json = dict[str, Any]


def status_view(status: _Json) -> RenderableType:
    """Return what `seriesgate status` shows of the answer of /status."""
    parts: list[RenderableType] = [_head(status), Padding(_figures(status), (1, 0))]
    open_series = status["open_series"]
    parts += section(
        f"Open series ({open_series['count']})",
        ("series", "from", "instances", "closes in"),
        [
            (
                series["series_instance_uid"],
                series["calling_ae_title"],
                str(series["instances"]),
                _closes_in(series),
            )
            for series in open_series["next"]
        ],
    )
    associations = status["associations"]
    parts += section(
        "Senders",
        ("AE title", "host", "associations", "latest"),
        [
            (
                sender["calling_ae_title"],
                sender["host"],
                str(sender["associations"]),
                clock_time(sender["latest_at"]),
            )
            for sender in associations["senders"]
        ],
    )
    parts += refused_section(associations["refused_peers"])
    return Group(*parts)


def refused_section(refused_peers: list[_Json]) -> list[RenderableType]:
    """Return a table of those that got no association, and why."""
    return section(
        "Refused",
        ("AE title", "host", "reason", "times", "latest"),
        [
            (
                peer["calling_ae_title"],
                peer["host"],
                peer["reason"].replace("_", " ").replace(" ae ", " AE "),
                str(peer["times"]),
                clock_time(peer["latest_at"]),
            )
            for peer in refused_peers
        ],
    )


def _head(status: _Json) -> Text:
    running = datetime.fromisoformat(status["now"]) - datetime.fromisoformat(status["started_at"])
    state = Text("ready", "green")
    if not status["ready"]:
        state = Text("not ready: " + "; ".join(status["not_ready"]), "red")
    return Text.assemble(
        (f"seriesgate {status['version']}", "bold"),
        f", running for {str(running).partition('.')[0]}, ",
        state,
    )


def _figures(status: _Json) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in _lines(status):
        table.add_row(Text(name, "bold"), text)
    return table


def _lines(status: _Json) -> list[tuple[str, Text]]:
    instances, received, series = status["instances"], status["received"], status["series"]
    deliveries, associations, disk = (
        status["deliveries"],
        status["associations"],
        status["disk"],
    )
    parts = (
        f"{instances['acknowledged']} acknowledged = {instances['delivered']} delivered"
        f" + {instances['pending']} pending + {instances['dead']} dead"
    )
    if instances["discarded"]:
        parts += f" + {instances['discarded']} discarded"
    total = Text(parts)
    if not instances["adds_up"]:
        total.append("  does not add up", "red")
    quarantined = Text()
    if disk["quarantined"]:
        quarantined = Text(f", {disk['quarantined']} files in the quarantine", "red")
    free = "unknown" if disk["free_bytes"] is None else decimal(disk["free_bytes"])
    return [
        ("instances", total),
        (
            "received",
            Text(
                f"{received['instances_per_second']:.1f} instances/s, "
                f"{decimal(received['bytes_per_second'])}/s over {received['over_seconds']:.0f} s; "
                f"{received['stored']} new, {received['repeated']} again, "
                f"{received['out_of_resources'] + received['not_understood']} refused"
            ),
        ),
        (
            "series",
            Text(
                f"{series['closed']} closed, {series['revised']} of them revised; "
                f"{series['late_instances']} late instances, "
                f"{series['conflicting_instances']} conflicting, "
                f"{series['damaged_instances']} damaged"
            ),
        ),
        ("deliveries", _deliveries(deliveries)),
        (
            "associations",
            Text(
                f"{associations['open']} open, {associations['accepted']} accepted, "
                f"{sum(associations['refused'].values())} refused"
            ),
        ),
        ("disk", Text.assemble(f"{free} free", quarantined)),
        *_aside(status["aside"]["count"]),
    ]


def _aside(count: int) -> list[tuple[str, Text]]:
    text = Text(f"{count}, in which something unexpected went wrong: seriesgate aside list", "red")
    return [("put aside", text)] if count else []


def _deliveries(deliveries: _Json) -> Text:
    text = Text(
        f"{deliveries['delivered']} delivered, {deliveries['pending']} pending "
        f"({deliveries['in_flight']} under way)"
    )
    if deliveries["dead"]:
        text.append(f", {deliveries['dead']} dead letters: seriesgate outbox list", "red")
    if deliveries["oldest_pending_at"] is not None:
        text.append(f"; the oldest since {clock_time(deliveries['oldest_pending_at'])}")
    return text


def section(
    title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> list[RenderableType]:
    """Return a table with as many rows as are shown; the first column gives way to the others."""
    if not rows:
        return []
    table = Table(box=None, pad_edge=False, expand=True)
    for index, column in enumerate(columns):
        table.add_column(column, ratio=1 if index == 0 else None, no_wrap=True, overflow="ellipsis")
    for row in rows[:_MAX_ROWS]:
        table.add_row(*map(Text, row))
    more = len(rows) - _MAX_ROWS
    rest = [Text(f"and {more} more: --json", "dim")] if more > 0 else []
    return [Text(title, "bold"), table, *rest, Text()]


def _closes_in(series: _Json) -> str:
    if series["closes_in"] is None:
        return f"{series['in_flight']} under way"
    return f"{series['closes_in']:.1f} s"


def clock_time(moment: str) -> str:
    """Return a moment in ISO 8601 as local time, short."""
    return f"{datetime.fromisoformat(moment).astimezone():%m-%d %H:%M:%S}"
