"""The status and the outbox as JSON: what `seriesgate status --json` prints.

Of what senders say it has UIDs and AE titles, and nothing of patients.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from seriesgate import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from seriesgate.gateway.administration import GatewayStatus, InstanceSum
    from seriesgate.gateway.associations import AssociationStatus
    from seriesgate.gateway.bulkhead import UnitAside
    from seriesgate.gateway.outbox import Outbox
    from seriesgate.gateway.totals import GatewayTotals

_Json = dict[str, Any]


def status_json(status: GatewayStatus) -> _Json:
    """Return the status."""
    return {
        "version": __version__,
        "started_at": status.started_at.isoformat(),
        "uptime_seconds": round(status.uptime, 3),
        "now": status.now.isoformat(),
        "ready": not status.not_ready,
        "not_ready": list(status.not_ready),
        "instances": _instances(status.instances),
        "open_series": {"count": status.open_series, "next": _open_series(status)},
        "received": _received(status),
        "series": _series(status.totals),
        "deliveries": {
            **{state.value: count for state, count in status.deliveries.items()},
            "in_flight": status.deliveries_in_flight,
            "oldest_pending_at": _moment(status.oldest_pending_at),
            "attempts_delivered": status.totals.attempts_delivered,
            "attempts_failed": _counts(status.totals.attempts_failed),
        },
        "associations": _associations(status.associations),
        "disk": {"free_bytes": status.free_bytes, "quarantined": status.quarantined},
        "aside": {"count": len(status.aside), "times": dict(status.put_aside)},
        "max_open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def aside_json(units: Iterable[UnitAside]) -> _Json:
    """Return what is put aside."""
    return {
        "units": [
            {
                "unit_id": unit.unit_id,
                "task": unit.task,
                "reason": unit.reason,
                "since": _moment(unit.since),
                "times": unit.times,
            }
            for unit in units
        ]
    }


def outbox_json(outbox: Outbox) -> _Json:
    """Return the outbox."""
    return {
        "dead": outbox.dead,
        "pending": outbox.pending,
        "deliveries": [
            {
                "delivery_id": entry.delivery_id,
                "series_instance_uid": entry.series_instance_uid,
                "revision": entry.revision,
                "instances": entry.instances,
                "state": entry.state.value,
                "attempts": entry.attempts,
                "reason": entry.reason,
                "next_attempt_at": _moment(entry.next_attempt_at),
                "died_at": _moment(entry.died_at),
            }
            for entry in outbox.entries
        ],
    }


def _instances(instances: InstanceSum) -> _Json:
    return {
        "acknowledged": instances.acknowledged,
        "delivered": instances.delivered,
        "pending": instances.pending,
        "dead": instances.dead,
        "discarded": instances.discarded,
        "adds_up": instances.adds_up,
    }


def _open_series(status: GatewayStatus) -> list[_Json]:
    return [
        {
            "series_instance_uid": series.series_instance_uid,
            "calling_ae_title": series.calling_ae_title,
            "instances": series.instances,
            "in_flight": series.in_flight,
            "closes_in": None
            if series.deadline is None
            else round(max(0.0, series.deadline - status.monotonic), 3),
        }
        for series in status.progress
    ]


def _received(status: GatewayStatus) -> _Json:
    totals, throughput = status.totals, status.throughput
    return {
        "stored": totals.instances_stored,
        "repeated": totals.instances_repeated,
        "out_of_resources": totals.instances_out_of_resources,
        "not_understood": totals.instances_not_understood,
        "bytes": totals.bytes_received,
        "instances_per_second": round(throughput.instances, 1),
        "bytes_per_second": round(throughput.bytes),
        "over_seconds": round(throughput.seconds, 1),
    }


def _series(totals: GatewayTotals) -> _Json:
    return {
        "closed": totals.series_closed,
        "revised": totals.series_reopened,
        "unchanged": totals.series_repeated,
        "with_gaps": totals.series_with_gaps,
        "late_instances": totals.instances_late,
        "conflicting_instances": totals.instances_conflicting,
        "inconsistent_instances": totals.instances_inconsistent,
        "damaged_instances": totals.instances_damaged,
    }


def _associations(associations: AssociationStatus) -> _Json:
    return {
        "open": associations.open,
        "accepted": associations.accepted,
        "refused": _counts(associations.refused),
        "ended": _counts(associations.ended),
        "store_statuses": dict(associations.store_statuses),
        "senders": [
            {
                "calling_ae_title": sender.peer.calling_ae_title,
                "host": sender.peer.host,
                "associations": sender.associations,
                "latest_at": sender.latest_at.isoformat(),
            }
            for sender in associations.senders
        ],
        "refused_peers": [
            {
                "calling_ae_title": refused.peer.calling_ae_title,
                "host": refused.peer.host,
                "reason": refused.reason.value,
                "times": refused.times,
                "latest_at": refused.latest_at.isoformat(),
            }
            for refused in associations.refused_peers
        ],
    }


def _counts(counts: Mapping[Any, int]) -> dict[str, int]:
    return {str(key.value): count for key, count in counts.items()}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
