"""How long the server takes to answer with a million series stored: every list, filter and post.

    python -m bench.server_million [--series N] [--database sqlite|postgresql|URL]

Fills a new database in bulk, runs the server on it in a process of its own, and asks each query
again and again over one connection. The time is that from request to answer, as a client sees it.
"""

from __future__ import annotations

import argparse
import http.client
import math
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from bench import server_fill, server_posts
from bench.programs import Program, Site, free_port, running
from tests.postgresql import PostgresqlServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT_MS = 50.0
# Searched for in steps, each short, for two seconds at most (docs/adr/0015).
_OTHER_LIMITS_MS = {"/series: text and a gateway, never together": 2_200.0}
_REPEATS = 30
_CLIENTS = 8
_POSTS = 4_000


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


def measure(port: int, path: str) -> list[float]:
    """Give the milliseconds that each of many answers took, sorted, after a first that warms up."""
    waits = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for _ in range(1 + _REPEATS):
            start = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            waits.append(1000 * (time.perf_counter() - start))
            if answer.status not in {200, 204}:
                raise SystemExit(f"{path}: {answer.status}")
    return sorted(waits[1:])


def percentile(waits: list[float], share: float) -> float:
    """Give the wait that this share of all is not longer than; `waits` are sorted."""
    return waits[math.ceil(share * len(waits)) - 1]


def run(database_url: str, folder: Path, count: int) -> bool:
    """Measure with a database that is filled, print a line for each query; tell if all hold."""
    port = free_port()
    command = (
        sys.executable,
        "-m",
        "seriesgate",
        "server",
        f"--port={port}",
        f"--database-url={database_url}",
    )
    all_hold = True
    with running(Program(Site(), command, folder)) as server:
        server.wait_until_listening(port)
        measured = [(name, measure(port, path)) for name, path in requests(count)]
        seconds, waits = server_posts.measure(port, _POSTS, _CLIENTS, first=int(time.time()))
    measured.append((f"POST, {_POSTS / seconds:,.0f}/s", [1000 * wait for wait in waits]))
    print(f"\n| {count:,} series | p50 ms | p99 ms | target | holds |")
    print("|---|---|---|---|---|")
    for name, each in measured:
        p50, p99 = percentile(each, 0.5), percentile(each, 0.99)
        limit = _OTHER_LIMITS_MS.get(name, _LIMIT_MS)
        holds = p99 <= limit
        all_hold = all_hold and holds
        print(f"| {name} | {p50:.1f} | {p99:.1f} | ≤ {limit:g} | {'yes' if holds else 'NO'} |")
    return all_hold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--database", default="sqlite", help="sqlite, postgresql, or a filled URL")
    parser.add_argument("--folder", type=Path, help="where the database is made; on a real disk")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        url = arguments.database
        if url == "postgresql":
            url = stack.enter_context(closing(PostgresqlServer())).new_database()
        elif url == "sqlite":
            url = f"sqlite:///{folder}/series_data.db"
        if url != arguments.database:
            start = time.monotonic()
            server_fill.fill(url, arguments.series)
            print(f"filled in {time.monotonic() - start:.0f} s")
        if not run(url, folder, arguments.series):
            raise SystemExit("not every answer is in time")


if __name__ == "__main__":
    main()
