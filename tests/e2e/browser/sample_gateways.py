"""The gateways of the invented hospital: two are well, one has dead letters, one is quiet."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.e2e.browser.sample_series import GATEWAYS, ROOT
from tests.unit.server.examples import heartbeat

from seriesgate.series.heartbeat import DeadLetterNotice
from seriesgate.server.registry.gateways import GatewayRecord

if TYPE_CHECKING:
    from datetime import datetime

GIB = 2**30


def gateway_records(now: datetime) -> list[GatewayRecord]:
    """What the server knows of them at `now`."""
    wrong_study = DeadLetterNotice(
        DeliveryID="5f0c7a1be2d94386",
        SeriesInstanceUID=f"{ROOT}.41.7",
        Reason="the server answered 409 Conflict: it does not accept StudyInstanceUID",
        Since=now - timedelta(minutes=38),
    )
    asked = wrong_study.model_copy(
        update={"DeliveryID": "91b3e08d7c2a4f65", "SeriesInstanceUID": f"{ROOT}.41.8"}
    )
    standing: list[tuple[timedelta, dict[str, Any], dict[str, str]]] = [
        (timedelta(seconds=3), {"OpenSeries": 4, "InstancesPerMinute": 2140.0}, {}),
        (timedelta(seconds=6), {"SeriesReopened": 94, "OpenSeries": 1}, {}),
        (
            timedelta(seconds=1),
            {
                "DeadLetters": 2,
                "DeadLetterList": [wrong_study, asked],
                "PendingDeliveries": 3,
                "RefusedAssociations": {"calling_ae_title": 12, "too_many_associations": 1},
            },
            {asked.DeliveryID: asked.Since.isoformat()},
        ),
        (
            timedelta(minutes=17),
            {
                "FreeBytes": 7 * GIB // 5,
                "SeriesPerMinute": 0.0,
                "InstancesPerMinute": 0.0,
                "BytesPerMinute": 0.0,
                "OpenSeries": 0,
            },
            {},
        ),
    ]
    usual: dict[str, Any] = {
        "Version": "0.9.0",
        "StartedAt": now - timedelta(days=12),
        "PeriodSeconds": 60.0,
        "PendingDeliveries": 0,
        "SeriesClosed": 1312,
        "SeriesReopened": 5,
        "InstancesReceived": 248_731,
        "BytesReceived": 121 * GIB,
        "SeriesPerMinute": 2.4,
        "InstancesPerMinute": 512.0,
        "BytesPerMinute": GIB / 4,
        "FreeBytes": 231 * GIB,
        "MinFreeBytes": GIB,
        "RefusedAssociations": {},
    }
    return [
        GatewayRecord(name, now - ago, heartbeat(**(usual | others)), retries)
        for name, (ago, others, retries) in zip(GATEWAYS, standing, strict=True)
    ]
