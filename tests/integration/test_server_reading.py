"""The HTTP API: finding series, studies and patients, counts, exports."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from asyncio import run
from datetime import UTC, datetime

import pytest
from tests.fakes_server import MemorySeriesStore
from tests.integration.app_client import SECRET, AppClient, assert_problem
from tests.unit.server.examples import EVERY_FIELD, FIVE_FIELDS, START, report, ticking_clock

from seriesgate.server.registry.export import JSON_LINES, export
from seriesgate.server.registry.query import SeriesFilter
from seriesgate.server.registry.store import PagePosition, SeriesPage, StoredSeries

POSITION = PagePosition(START, "1.2")


@pytest.fixture
def client():
    with AppClient() as client:
        client.register(**EVERY_FIELD)
        client.register(SeriesInstanceUID="1.9", PatientID="B", StudyInstanceUID="1.8")
        yield client


def series_of(answer):
    return [row["SeriesInstanceUID"] for row in answer.json()["series"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"PatientID": "B"}, ["1.9"]),
        ({"AccessionNumber": "ACC-1", "Modality": "MR"}, ["1.2"]),
        ({"Gateway": "ward-3"}, ["1.2"]),
        ({"text": "MPRAGE"}, ["1.2"]),
        ({"text": "%"}, []),
        ({"received_from": "2026-01-01T12:00:01Z"}, ["1.9"]),
        ({"received_before": "2026-01-01T13:00:01+01:00"}, ["1.2"]),
        ({"sort": "ReceivedAt"}, ["1.2", "1.9"]),
    ],
)
def test_list_is_filtered(client, query, expected):
    assert series_of(client.get("/series", params=query)) == expected


def test_pages_of_a_search_in_either_order(client):
    for sort in ("-ReceivedAt", "ReceivedAt"):
        query = {"text": "doe", "sort": sort, "limit": 1}
        whole = series_of(client.get("/series", params=query | {"limit": 10}))
        page = client.get("/series", params=query)
        rest = client.get("/series", params=query | {"cursor": page.json()["next_cursor"]})
        assert series_of(page) + series_of(rest) == whole
        assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/series", "text=", "text"),
        ("/series", "text=" + "x" * 65, "text"),
        ("/series", "sort=" + SECRET, "sort"),
        ("/series", "received_from=2026-01-01T00:00:00", "received_from"),
        ("/series", "received_from=0001-01-01T00:00:00%2B14:00", "received_from"),
        ("/series.csv", "limit=1", ""),
        ("/series.jsonl", "PatientID=%00" + SECRET, "PatientID"),
        ("/studies", "cursor=" + SECRET, "cursor"),
        ("/patients", "limit=0", "limit"),
        ("/stats", "minutes=0", "minutes"),
        ("/stats", "minutes=3000", ""),
    ],
)
def test_wrong_parameter_is_named_and_not_repeated(client, path, query, field):
    assert_problem(client.get(f"{path}?{query}"), 422, field)


def test_search_goes_on_until_the_page_is_full(client, monkeypatch):
    """A store gives what it found among some series, and where it stopped."""
    whole_page = client.store.page

    async def one_at_a_time(_wanted, **position):
        page = await whole_page(SeriesFilter(), **position | {"limit": 1})
        hits = [row for row in page.series if row.Modality == "MR"]
        return SeriesPage(hits, page.following)

    monkeypatch.setattr(client.store, "page", one_at_a_time)
    assert series_of(client.get("/series?Modality=MR")) == ["1.2"]
    monkeypatch.setattr("seriesgate.server.routes.series_query._PATIENCE", -1.0)
    first = client.get("/series?Modality=MR")
    assert series_of(first) == []
    second = client.get(f"/series?Modality=MR&cursor={first.json()['next_cursor']}")
    assert series_of(second) == ["1.2"]


def test_series_has_its_history(client):
    body = json.dumps(EVERY_FIELD | {"InstancesInSeries": 12})
    client.post(body, **{"Idempotency-Key": "delivery-2"})
    newest, oldest = client.get("/series/1.2").json()["History"]
    assert (newest["IdempotencyKey"], oldest["IdempotencyKey"]) == ("delivery-2", None)
    assert newest["Report"]["InstancesInSeries"] == 12
    assert newest["ReceivedAt"] > oldest["ReceivedAt"]
    assert oldest["Report"]["PatientName"] == "Doe^Jane"


def test_studies_and_patients(client):
    studies = client.get("/studies?limit=1").json()
    (study,) = client.get("/studies", params={"cursor": studies["next_cursor"]}).json()["studies"]
    assert study["StudyInstanceUID"] == "1.3"
    assert study["ModalitiesInStudy"] == ["MR"]
    assert study["NumberOfStudyRelatedSeries"] == 1
    (patient,) = client.get("/patients?PatientID=B").json()["patients"]
    assert patient["NumberOfPatientRelatedInstances"] == 10
    assert client.get("/patients?limit=1").json()["next_cursor"]


def test_stats(client):
    client.clock.now = START.replace(minute=2, second=30)
    stats = client.get("/stats?minutes=5").json()
    assert stats["Totals"] == {"Patients": 2, "Studies": 2, "Series": 2, "Instances": 20}
    assert [(point["At"], point["Series"], point["Instances"]) for point in stats["Points"]] == [
        ("2026-01-01T11:58:00Z", 0, 0),
        ("2026-01-01T11:59:00Z", 0, 0),
        ("2026-01-01T12:00:00Z", 2, 20),
        ("2026-01-01T12:01:00Z", 0, 0),
        ("2026-01-01T12:02:00Z", 0, 0),
    ]


def test_stats_in_steps(client):
    client.clock.now = START.replace(minute=34)
    points = client.get("/stats?minutes=60&step=30").json()["Points"]
    assert [point["At"] for point in points] == ["2026-01-01T12:00:00Z", "2026-01-01T12:30:00Z"]
    assert points[0]["SeriesPerMinute"] == pytest.approx(2 / 30)
    assert points[0]["InstancesPerMinute"] == pytest.approx(20 / 30)
    assert points[1]["Instances"] == 0


def test_csv_has_every_field_the_oldest_first(client):
    answer = client.get("/series.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="series.csv"'
    assert answer.headers["cache-control"] == "no-store"
    first, second = csv.DictReader(io.StringIO(answer.text))
    assert list(first) == list({**StoredSeries.model_fields, **StoredSeries.model_computed_fields})
    assert (first["SeriesInstanceUID"], second["SeriesInstanceUID"]) == ("1.2", "1.9")
    assert first["SeriesNumber"] == "-4"
    assert first["MissingInstanceNumbers"] == "[4, 7]"
    assert datetime.fromisoformat(first["ClosedAt"]).tzinfo is not None
    assert second["SeriesNumber"] == ""
    assert client.get("/series.csv?PatientID=none").text.count("\r\n") == 1


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", '=cmd|"/c calc"!A0', "==", "-"]
)
def test_csv_has_no_formula(client, text):
    client.register(SeriesInstanceUID="1.7", PatientName=text, PatientID=text)
    *_, row = csv.DictReader(io.StringIO(client.get("/series.csv").text))
    assert row["PatientName"] == row["PatientID"] == "'" + text


@pytest.mark.parametrize("text", ['a"b', "a,b", "a;b", "'x", "Doe^Jane=山田"])
def test_csv_leaves_other_text_alone(client, text):
    client.register(SeriesInstanceUID="1.7", PatientName=text)
    *_, row = csv.DictReader(io.StringIO(client.get("/series.csv").text))
    assert row["PatientName"] == text


def test_json_lines_are_the_rows_of_the_list(client):
    answer = client.get("/series.jsonl?PatientID=A/17")
    assert answer.headers["content-type"] == "application/jsonl; charset=utf-8"
    assert [json.loads(line) for line in answer.text.splitlines()] == (
        client.get("/series?PatientID=A/17").json()["series"]
    )


@pytest.mark.parametrize("path", ["/series", "/studies", "/patients", "/stats", "/series.csv"])
def test_broken_database_is_503(client, path):
    client.store.out_of_order = True
    assert_problem(client.get(path), 503)


def test_export_takes_no_more_memory_for_more_series(monkeypatch):
    """Pages are asked for one by one, and no more than two are held at a time."""
    row = StoredSeries(**FIVE_FIELDS, ReceivedAt=START, UpdatedAt=START)

    async def peak(pages):
        store = MemorySeriesStore(ticking_clock())
        following = iter([POSITION] * (pages - 1) + [None])

        async def page(_wanted, *, limit, **_rest):
            rows = [row.model_copy(update={"PatientName": "x" * 1000}) for _ in range(limit)]
            return SeriesPage(rows, next(following))

        monkeypatch.setattr(store, "page", page)
        tracemalloc.start()
        try:
            async for _ in export(store, SeriesFilter(), JSON_LINES):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    run(peak(2))
    assert run(peak(20)) < 1.2 * run(peak(4))


def test_export_of_several_pages_leaves_out_nothing(client):
    async def fill():
        for number in range(1201):
            await client.store.register(report(SeriesInstanceUID=f"1.2.{number}"))

    client.run(fill())
    found = [json.loads(line) for line in client.get("/series.jsonl").text.splitlines()]
    assert len({row["SeriesInstanceUID"] for row in found}) == len(found) == 1203
    times = [datetime.fromisoformat(row["ReceivedAt"]) for row in found]
    assert times == sorted(times)
    assert times[0].astimezone(UTC) == START
