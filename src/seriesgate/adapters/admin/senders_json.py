"""What was seen of each sender as JSON: what /senders answers, and `seriesgate doctor` shows.

It has AE titles and addresses, and nothing of patients or series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seriesgate.series.pauses import BOUNDS
from seriesgate.series.quiet_period import CHOICES, Recommendation, joint_recommendation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seriesgate.gateway.senders import SenderStatistics

_Json = dict[str, Any]


def senders_json(senders: Sequence[SenderStatistics], quiet_period: float) -> _Json:
    """Return all senders, the latest first, and what they say of the quiet period in seconds."""
    arrivals = [sender.late_arrivals(quiet_period) for sender in senders]
    joint = joint_recommendation([each.recommendation() for each in arrivals], quiet_period)
    return {
        "quiet_period": quiet_period,
        "recommendation": _recommendation(joint),
        "senders": [_sender(sender, quiet_period) for sender in senders],
    }


def _sender(sender: SenderStatistics, quiet_period: float) -> _Json:
    rate = sender.instances_per_second
    return {
        "calling_ae_title": sender.calling_ae_title,
        "host": sender.host,
        "first_at": sender.first_at.isoformat(),
        "latest_at": sender.latest_at.isoformat(),
        "associations": sender.associations,
        "ended": dict(sender.ended),
        "refused": dict(sender.refused),
        "instances": sender.stored,
        "incomplete": sender.incomplete,
        "store_statuses": dict(sender.statuses),
        "bytes": sender.bytes,
        "busy_seconds": round(sender.seconds, 1),
        "instances_per_second": None if rate is None else round(rate, 1),
        "longest_pdu": sender.longest_pdu,
        "announced_pdu": sender.announced_pdu,
        "nagle": {
            "sign": sender.nagle.value,
            "tried_at": None if sender.tried_at is None else sender.tried_at.isoformat(),
            "wait_seconds": None if sender.wait is None else round(sender.wait, 3),
            "saved_seconds_estimate": round(sender.saved_seconds, 1),
        },
        "series": _series(sender, quiet_period),
    }


def _series(sender: SenderStatistics, quiet_period: float) -> _Json:
    arrivals = sender.late_arrivals(quiet_period)
    return {
        "closed": sender.series,
        "late": sender.late,
        "late_at": {f"{choice:g}": arrivals.late_at(choice) for choice in CHOICES},
        "pauses": [
            {"from_seconds": bound, "count": count}
            for bound, count in zip(BOUNDS, sender.pauses.counts, strict=True)
        ],
        "recommendation": _recommendation(arrivals.recommendation()),
    }


def _recommendation(recommendation: Recommendation) -> _Json:
    return {"advice": recommendation.advice.value, "quiet_period": recommendation.seconds}
