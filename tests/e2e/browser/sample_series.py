"""A busy hour at an invented hospital: what the dashboard is looked at with."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from seriesgate.series.report import Series
from seriesgate.server.registry.preview import PNG, Preview
from seriesgate.server.sql.previews import write_preview
from seriesgate.server.sql.register import PostedReport, register_group
from seriesgate.server.sql.schema import upgrade
from seriesgate.server.sql.sqlite import sqlite_engine
from seriesgate.server.sql.tables import gateways

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from seriesgate.server.registry.gateways import GatewayRecord

# Patients that nobody could take for real ones.
PATIENTS = (
    ("DOE^JANE", "TEST-0001"),
    ("DOE^JOHN^^DR", "TEST-0002"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "TEST-0003"),
    ("MUSTERMANN^ERIKA", "TEST-0004"),
    ("قباني^لنزار", "TEST-0005"),
    ("ROE^RICHARD", "TEST-0006"),
    ("NOVAKOVA^JANA", "TEST-0007"),
    ("Wang^XiaoDong=王^小东", "TEST-0008"),
    ("PUBLIC^JOHN^Q", "TEST-0009"),
    ("בדיקה^ישראל", "TEST-0010"),
    (
        "VON HOHENSTEIN-WITTGENSTEIN-BERLEBURG^MAXIMILIAN FERDINAND^ALEXANDER^PROF DR^MD",
        "TEST-0011",
    ),
    ("", "TEST-0012"),
)
STUDIES = (
    ("MR", "Brain without contrast", ("t1_mprage_sag_p2_iso", "t2_tse_tra_320", "dwi_tra_b1000")),
    ("CT", "Thorax with contrast", ("Thorax 1.0 B70f", "Thorax 5.0 B31f", "Topogram")),
    ("MR", "Knee left", ("pd_tse_fs_cor", "t1_se_sag")),
    ("DX", "Chest PA and lateral", ("PA", "LAT")),
    ("US", "Abdomen", ("Liver and gall bladder",)),
    ("MG", "Screening, both sides", ("R CC", "L CC", "R MLO", "L MLO")),
    ("PT", "Whole body FDG", ("WB 3D MAC",)),
)
COUNTS = {"MR": 176, "CT": 412, "DX": 1, "US": 38, "MG": 1, "PT": 295}
GATEWAYS = ("radiology-1", "radiology-2", "ward-3", "outpatients")
ROOT = "1.2.826.0.1.3680043.10.543"
HOUR = 60
_GROUP = 500
NOTEWORTHY = f"{ROOT}.2.77"
"""A series that came in two revisions and lacks instances."""


def busy_hour(now: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """When each report came in the hour before `now`, and what it said; the oldest first."""
    chance = random.Random(7)
    found: list[tuple[datetime, dict[str, Any]]] = []
    for minute in range(HOUR):
        number = round(7 + 5 * math.sin(minute / 7) + chance.uniform(-3, 3))
        for each in range(max(0, number)):
            at = now - timedelta(minutes=HOUR - minute, seconds=-chance.uniform(0, 58))
            found.append((min(at, now), _report(chance, len(found), each, min(at, now))))
    return sorted(found, key=lambda each: each[0])


def _report(chance: random.Random, number: int, each: int, at: datetime) -> dict[str, Any]:
    name, patient = PATIENTS[(number * 5) % len(PATIENTS)]
    modality, study, series = STUDIES[(number * 3) % len(STUDIES)]
    count = COUNTS[modality] + chance.randrange(1 if COUNTS[modality] == 1 else 12)
    seconds = timedelta(seconds=count * 0.018 + 0.4)
    closed = at - timedelta(milliseconds=chance.randrange(9, 42))
    last = closed - timedelta(seconds=1.001)
    report = {
        "SeriesInstanceUID": f"{ROOT}.{number}",
        "PatientName": name,
        "PatientID": patient,
        "StudyInstanceUID": f"{ROOT}.1000.{number}",
        "InstancesInSeries": count,
        "AddedInstances": count,
        "Modality": modality,
        "SeriesNumber": each + 1,
        "SeriesDescription": series[number % len(series)],
        "BodyPartExamined": study.split()[0].upper(),
        "StudyDate": f"{at:%Y%m%d}",
        "StudyDescription": study,
        "AccessionNumber": f"A{700100 + number}",
        "Manufacturer": "Invented Imaging",
        "CallingAETitle": f"{modality}{1 + number % 3}",
        "Gateway": GATEWAYS[number % len(GATEWAYS)],
        "Bytes": count * 524_600,
        "FirstInstanceAt": (last - seconds).isoformat(),
        "LastInstanceAt": last.isoformat(),
        "ClosedAt": closed.isoformat(),
    }
    return report | _remarks(number % 13, count)


def noteworthy_series(now: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """The reports of the series NOTEWORTHY, four minutes ago and just now."""

    def report(closed: timedelta, **others: Any) -> tuple[datetime, dict[str, Any]]:
        at = now - closed + timedelta(milliseconds=27)
        fields = {
            "SeriesInstanceUID": NOTEWORTHY,
            "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "PatientID": "TEST-0003",
            "FirstInstanceAt": (now - timedelta(minutes=4, seconds=9.4)).isoformat(),
            "LastInstanceAt": (now - closed - timedelta(seconds=1.001)).isoformat(),
            "ClosedAt": (now - closed).isoformat(),
            "MissingInstanceNumbers": [17, 23, 24, 25, 90],
            "ConflictingInstances": [f"{ROOT}.4.41"],
        }
        return at, _report(random.Random(3), 28, 4, at) | fields | others

    first = report(timedelta(minutes=4), InstancesInSeries=180, AddedInstances=180)
    late = report(timedelta(seconds=9), InstancesInSeries=184, AddedInstances=4, Revision=2)
    return [first, late]


def _remarks(kind: int, count: int) -> dict[str, Any]:
    match kind:
        case 2:
            return {"MissingInstanceNumbers": [17, 23, 24, 25, 90]} if count > 90 else {}
        case 5:
            return {"Revision": 2, "AddedInstances": 3} if count > 3 else {}
        case 8:
            return {"ConflictingInstances": [f"{ROOT}.7.{count}", f"{ROOT}.7.{count + 1}"]}
        case 10:
            return {"DamagedInstances": [f"{ROOT}.8.{count}"]}
        case 12:
            return {
                "InconsistentAttributes": ["PatientID"],
                "InconsistentInstances": [f"{ROOT}.8.1"],
                "InconsistentInstanceCount": 1,
            }
    return {}


def fill(
    path: Path,
    reports: Iterable[tuple[datetime, dict[str, Any]]],
    *,
    pictures: Mapping[str, bytes] | None = None,
    known_gateways: Iterable[GatewayRecord] = (),
) -> None:
    """Make a SQLite database in which these reports came at their times.

    `pictures` are PNGs by series. Without an event loop: Playwright has one in the thread of the
    tests.
    """
    engine = sqlite_engine(path)
    upgrade(engine, datetime.now(UTC))
    posted = [PostedReport(Series.model_validate(fields), None, at) for at, fields in reports]
    for group in batched(posted, _GROUP):
        with engine.begin() as connection:
            register_group(connection, group)
    with engine.begin() as connection:
        for uid, content in (pictures or {}).items():
            write_preview(connection, uid, Preview(PNG, content))
        for each in known_gateways:
            row = {"Name": each.name, "LastSeenAt": each.last_seen_at, "Retries": each.retries}
            row["Heartbeat"] = each.heartbeat.model_dump_json()
            connection.execute(insert(gateways), row)
    engine.dispose()


def batched(posted: list[PostedReport], size: int) -> Iterator[list[PostedReport]]:
    for start in range(0, len(posted), size):
        yield posted[start : start + size]


def crowd(count: int, now: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """Many series, the last of them now."""
    return [(now - timedelta(seconds=count - n), one_of_many(n)) for n in range(count)]


def one_of_many(number: int) -> dict[str, Any]:
    """A report of a crowd."""
    return {
        "SeriesInstanceUID": f"{ROOT}.9.{number}",
        "PatientName": f"CROWD^{number:05}",
        "PatientID": f"CROWD-{number:05}",
        "StudyInstanceUID": f"{ROOT}.9000.{number}",
        "InstancesInSeries": 1 + number % 300,
        "Modality": ("MR", "CT", "US")[number % 3],
        "SeriesDescription": f"series {number}",
        "Gateway": GATEWAYS[number % 4],
    }
