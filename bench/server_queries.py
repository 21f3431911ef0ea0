"""The queries that a server with many series is asked in the benchmark: every kind of list."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from bench import server_fill

if TYPE_CHECKING:
    from collections.abc import Iterator


def requests(count: int) -> Iterator[tuple[str, str]]:
    """Give each query's name and its path."""
    middle = server_fill.series(count // 2)
    day = middle["ReceivedAt"].replace(hour=0, minute=0)
    series: dict[str, dict[str, str]] = {
        "newest": {},
        "oldest": {"sort": "ReceivedAt"},
        "a study": {"StudyInstanceUID": middle["StudyInstanceUID"]},
        "a patient": {"PatientID": middle["PatientID"]},
        "an accession number": {"AccessionNumber": middle["AccessionNumber"]},
        "a modality": {"Modality": "MR"},
        "a rare modality": {"Modality": "OT"},
        "no modality": {"Modality": "XX"},
        "a gateway": {"Gateway": "ward-1"},
        "a gateway and a modality, each common, never together": {
            "Gateway": "ward-1",
            "Modality": "MR",
        },
        "a rare modality from a gateway": {"Gateway": "ward-1", "Modality": "OT"},
        "a modality and a patient": {"Modality": "MR", "PatientID": middle["PatientID"]},
        "a day": {"received_from": f"{day:%Y-%m-%dT%H:%M:%SZ}", "limit": "100"},
        "text, common": {"text": "brain"},
        "text, rare": {"text": "zyzzyva"},
        "text, none": {"text": "nobody here"},
        "text, half a word": {"text": "ozaur"},
        "text of one letter": {"text": "山"},
        "text and a modality": {"text": "zyzzyva", "Modality": "MR"},
        "text and a gateway, never together": {"text": "abdomen", "Gateway": "ward-0"},
    }
    for column in ("PatientName", "PatientID", "StudyDate", "InstancesInSeries"):
        series[f"by {column}"] = {"sort": column}
        series[f"by {column}, down, of a modality"] = {"sort": f"-{column}", "Modality": "CT"}
        series[f"by {column}, of a patient"] = {"sort": column, "PatientID": middle["PatientID"]}
        series[f"by {column}, of a text"] = {"sort": column, "text": "zyzzyva"}
    for name, query in series.items():
        yield f"/series: {name}", f"/series?{urlencode(query)}"
    yield "one series", f"/series/{quote(middle['SeriesInstanceUID'])}"
    for level in ("studies", "patients"):
        for name in ("newest", "a patient", "a rare modality", "text, rare"):
            yield f"/{level}: {name}", f"/{level}?{urlencode(series[name])}"
    matches = {
        "all": "",
        "a date": f"StudyDate={middle['StudyDate']}",
        "a range of dates": "StudyDate=20240301-20240401",
        "a name": "PatientName=smith*",
        "part of a name": "PatientName=*zyva*",
        "a common modality in the study": "ModalitiesInStudy=MR",
        "a rare modality in the study": "ModalitiesInStudy=OT",
        "no such modality in the study": "ModalitiesInStudy=XX",
        "a study": f"StudyInstanceUID={middle['StudyInstanceUID']}",
    }
    for name, match in matches.items():
        yield f"QIDO studies: {name}", f"/dicom-web/studies?{match}"
    yield "QIDO series: a description", "/dicom-web/series?SeriesDescription=localizer"
    yield "QIDO series: no such description", "/dicom-web/series?SeriesDescription=nosuch"
    yield "QIDO series of a study", f"/dicom-web/studies/{middle['StudyInstanceUID']}/series"
    yield "/stats", "/stats"
