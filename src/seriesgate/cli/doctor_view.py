"""What `seriesgate doctor` has found, as text that fits into any terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from seriesgate.cli.status_view import refused_section, section

if TYPE_CHECKING:
    from seriesgate.wiring.doctor.finding import Finding

_Json = dict[str, Any]

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
_WIDEST_VERDICT, _WIDEST_CHECK = 7, 18
# How an association ends when neither the sender nor the network is to blame.
_ORDERLY = ("released", "stopping")
# Those of the quiet periods in the answer that fit into the width; the last column has any.
_SHOWN = ("1", "2", "5", "10")
_NAGLE = {"on": "on", "no_sign": "no sign", "cannot_tell": "cannot tell"}


def finding_view(finding: Finding) -> RenderableType:
    """Return one finding as a line, or as many as the width needs."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=_WIDEST_VERDICT, no_wrap=True)
    table.add_column(width=_WIDEST_CHECK, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    verdict = finding.verdict.value
    table.add_row(Text(verdict, _COLOURS[verdict]), finding.check, Text(finding.text))
    return table


def senders_view(senders: _Json | None, status: _Json | None) -> RenderableType:
    """Return the answers of /senders, and of /status on those that were refused, as tables."""
    parts: list[RenderableType] = [Text()]
    if senders is not None:
        known = senders["senders"]
        sending = [sender for sender in known if sender["instances"]]
        parts += section(
            "Senders",
            ("AE title and host", "instances", "bytes", "inst./s", "PDU (takes)", "Nagle", "saved"),
            [_speed(sender) for sender in sending],
        )
        parts += section(
            "What failed",
            ("AE title and host", "assoc.", "aborted", "lost", "other", "refused", "C-STORE"),
            [row for row in map(_failures, known) if any(cell != "0" for cell in row[2:])],
        )
        parts += section(
            f"Late revisions at a quiet period of {senders['quiet_period']:g} s, and at others",
            ("AE title and host", "series", "now", *(f"{choice} s" for choice in _SHOWN), "suits"),
            [_late(sender) for sender in known if sender["series"]["closed"]],
        )
    if status is not None:
        parts += refused_section(status["associations"]["refused_peers"])
    return Group(*parts)


def _who(sender: _Json) -> str:
    return f"{sender['calling_ae_title']} {sender['host']}"


def _speed(sender: _Json) -> tuple[str, ...]:
    rate, nagle = sender["instances_per_second"], sender["nagle"]
    takes = sender["announced_pdu"]
    saved = nagle["saved_seconds_estimate"]
    return (
        _who(sender),
        str(sender["instances"]),
        decimal(sender["bytes"]),
        "" if rate is None else f"{rate:.1f}",
        f"{sender['longest_pdu']} ({takes or 'any'})",
        _NAGLE[nagle["sign"]],
        f"about {saved:.0f} s" if saved else "",
    )


def _failures(sender: _Json) -> tuple[str, ...]:
    ends = sender["ended"]
    named = ("aborted_by_peer", "connection_lost")
    other = sum(count for how, count in ends.items() if how not in (*named, *_ORDERLY))
    return (
        _who(sender),
        str(sender["associations"]),
        *(str(ends.get(how, 0)) for how in named),
        str(other),
        _counts(sender["refused"]),
        _counts(sender["store_statuses"]),
    )


def _late(sender: _Json) -> tuple[str, ...]:
    series = sender["series"]
    advice = series["recommendation"]
    suits = "too few" if advice["advice"] == "too_few" else f"{advice['quiet_period']:g} s"
    return (
        _who(sender),
        str(series["closed"]),
        _share(series["late"], series["closed"]),
        *(_share(series["late_at"][choice], series["closed"]) for choice in _SHOWN),
        suits,
    )


def _counts(counts: dict[str, int]) -> str:
    """Say each reason with its number; nothing has happened is 0."""
    said = [f"{count} {why.replace('_', ' ')}" for why, count in counts.items()]
    return ", ".join(said) or "0"


def _share(late: int, series: int) -> str:
    return f"{100 * late / series:.1f} %"
