"""Reports, and a clock, for the tests of the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from seriesgate.series.heartbeat import Heartbeat
from seriesgate.series.report import Series

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

FIVE_FIELDS: dict[str, Any] = {
    "SeriesInstanceUID": "1.2",
    "PatientName": "Doe^Jane",
    "PatientID": "A/17",
    "StudyInstanceUID": "1.3",
    "InstancesInSeries": 10,
}

EVERY_FIELD: dict[str, Any] = FIVE_FIELDS | {
    "Revision": 2,
    "AddedInstances": 3,
    "Modality": "MR",
    "SeriesNumber": -4,
    "SeriesDescription": "t1_mprage sag",
    "BodyPartExamined": "HEAD",
    "StudyDate": "20260101",
    "StudyDescription": "Brain",
    "AccessionNumber": "ACC-1",
    "Manufacturer": "ACME",
    "CallingAETitle": "MODALITY",
    "Gateway": "ward-3",
    "Bytes": 2**40,
    "FirstInstanceAt": "2026-01-01T11:00:00.000001Z",
    "LastInstanceAt": "2026-01-01T12:00:00+01:00",
    "ClosedAt": "2026-01-01T11:00:01Z",
    "MissingInstanceNumbers": [4, 7],
    "ConflictingInstances": ["1.2.9"],
    "InconsistentInstances": ["1.2.8"],
    "InconsistentInstanceCount": 1,
}

AWKWARD_TEXTS = (
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "قباني^لنزار",
    "\u202eevitcelloC\u202c^\u200fא",
    "e\u0301\u0301\u0301 \U0001f9e0",
    "'; DROP TABLE series_data; --",
    "%s %(x)s :name ? {} \\",
    "",
    " ",
    "x" * 1024,
    "\U0010ffff" * 1024,
)


def report(**fields: Any) -> Series:
    """A report of five fields, with others in their place."""
    return Series.model_validate(FIVE_FIELDS | fields)


def ticking_clock() -> Callable[[], datetime]:
    """A clock that is a second later each time it is read."""
    seconds = count()
    return lambda: START + timedelta(seconds=next(seconds))


def _series_of_one(uid: str) -> st.SearchStrategy[Series]:
    """Reports of one series that contradict each other in nothing but what may change."""
    return st.builds(
        report,
        SeriesInstanceUID=st.just(uid),
        InstancesInSeries=st.integers(1, 3),
        Revision=st.integers(1, 2),
        PatientName=st.sampled_from(["Doe^Jane", "Doe^Janet"]),
        PatientID=st.sampled_from(["A/17", " A/17", "A/17 "]),
        Modality=st.sampled_from(["", "MR"]),
        ClosedAt=st.sampled_from([None, "2026-01-01T11:00:01Z"]),
    )


reports_of_one_series = _series_of_one("1.2")
reports_of_two_series = st.sampled_from(["1.2", "1.20"]).flatmap(_series_of_one)


def heartbeat(*letters: str, since: datetime = START, **others: Any) -> Heartbeat:
    """A heartbeat with these dead letters."""
    fields = {
        "Version": "1.0",
        "StartedAt": START,
        "PeriodSeconds": 10.0,
        "OpenSeries": 2,
        "PendingDeliveries": 1,
        "DeadLetters": len(letters),
        "DeadLetterList": [
            {"DeliveryID": each, "SeriesInstanceUID": "1.2", "Reason": "422", "Since": since}
            for each in letters
        ],
        "SeriesClosed": 8,
        "SeriesReopened": 2,
        "InstancesReceived": 900,
        "BytesReceived": 10**9,
        "SeriesPerMinute": 3.0,
        "InstancesPerMinute": 500.0,
        "BytesPerMinute": 1e8,
        "FreeBytes": 5 * 10**9,
        "MinFreeBytes": 10**9,
        "RefusedAssociations": {"calling_ae_title": 3},
        "QuietPeriod": 1.0,
        "Durability": "power",
    }
    return Heartbeat.model_validate(fields | others)
