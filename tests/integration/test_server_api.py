"""The HTTP API: registering and reading series."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import pytest
from tests.integration.app_client import SECRET, AppClient, assert_problem
from tests.unit.server.examples import AWKWARD_TEXTS, EVERY_FIELD, FIVE_FIELDS, report

from seriesgate.series.report import Series
from seriesgate.server.registry.store import StoreUnavailable


@pytest.fixture
def client():
    with AppClient() as client:
        yield client


# Registration


def test_five_fields_are_enough(client):
    answer = client.register()
    assert answer.status_code == 201
    row = answer.json()
    assert {name: row[name] for name in FIVE_FIELDS} == FIVE_FIELDS
    assert row["Revision"] == 1
    assert datetime.fromisoformat(row["ReceivedAt"]).tzinfo is not None
    assert client.row(answer.headers["location"]) == row


def test_every_field_comes_back(client):
    row = client.register(**EVERY_FIELD).json()
    moments = {"FirstInstanceAt", "LastInstanceAt", "ClosedAt"}
    for name in EVERY_FIELD.keys() - moments:
        assert row[name] == EVERY_FIELD[name]
    for name in moments:
        assert datetime.fromisoformat(row[name]) == datetime.fromisoformat(EVERY_FIELD[name])
        assert row[name].endswith("Z")


def test_unknown_fields_are_ignored(client):
    answer = client.register(SchemaVersion=9, Nested={"deep": [1, 2.5, None, True]})
    assert answer.status_code == 201
    assert "SchemaVersion" not in answer.json()


def test_known_series_is_answered_200(client):
    assert [client.register().status_code for _ in range(3)] == [201, 200, 200]


def test_more_instances_from_a_plain_client_update_the_count(client):
    client.register(InstancesInSeries=10)
    more = client.register(InstancesInSeries=12)
    assert (more.status_code, more.json()["InstancesInSeries"]) == (200, 12)
    fewer = client.register(InstancesInSeries=11)
    assert (fewer.status_code, fewer.json()["InstancesInSeries"]) == (200, 12)
    assert client.row("/series/1.2") == more.json()


def test_integer_patient_id_is_kept_as_text(client):
    assert client.register(PatientID=17).json()["PatientID"] == "17"


@pytest.mark.parametrize("text", AWKWARD_TEXTS)
def test_text_comes_back_as_it_was(client, text):
    assert client.register(PatientName=text, PatientID=text).json()["PatientName"] == text
    assert client.get("/series/1.2").json()["PatientID"] == text
    (row,) = client.get("/series", params={"PatientID": text}).json()["series"]
    assert row["PatientName"] == text


@pytest.mark.parametrize("uid", ["1.2/3", "a?b#c", "%41", "x;y=z,w", "1" * 128])
def test_location_of_any_uid_leads_to_the_series(client, uid):
    location = client.register(SeriesInstanceUID=uid).headers["location"]
    assert client.get(location).json()["SeriesInstanceUID"] == uid


def test_escaped_text_is_the_same_text(client):
    body = json.dumps(FIVE_FIELDS | {"PatientName": "山田^太郎"}, ensure_ascii=True)
    assert "\\u" in body
    assert client.post(body).json()["PatientName"] == "山田^太郎"


def test_idempotency_key_is_kept_with_the_report(client):
    client.post(json.dumps(FIVE_FIELDS), **{"Idempotency-Key": "delivery 7"})
    (entry,) = client.run(client.store.history("1.2", limit=10))
    assert entry.idempotency_key == "delivery 7"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\xe9"])
def test_bad_idempotency_key_is_422(client, key):
    answer = client.post(json.dumps(FIVE_FIELDS), **{"Idempotency-Key": key.encode("latin-1")})
    assert_problem(answer, 422, "Idempotency-Key")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", "application/json;"]
)
def test_json_in_utf8_is_accepted(client, content_type):
    body = json.dumps(FIVE_FIELDS)
    assert client.post(body, **{"Content-Type": content_type}).status_code == 201


# Reading


def test_unknown_series_is_404_and_not_repeated(client):
    answer = client.get("/series/1.2.3.4")
    assert_problem(answer, 404)
    assert "1.2.3.4" not in answer.text


@pytest.mark.parametrize("uid", ["%00", "1" * 129])
def test_impossible_uid_is_422(client, uid):
    assert_problem(client.get(f"/series/{uid}"), 422, "SeriesInstanceUID")


def test_empty_list(client):
    assert client.get("/series").json() == {"series": [], "next_cursor": None}


def test_list_is_paged_newest_first(client):
    for number in range(5):
        client.register(SeriesInstanceUID=f"1.{number}")
    url = "/series?limit=2"
    found = []
    page = client.get(url).json()
    while page["next_cursor"]:
        found += page["series"]
        page = client.get(url, params={"limit": 2, "cursor": page["next_cursor"]}).json()
    found += page["series"]
    assert [row["SeriesInstanceUID"] for row in found] == ["1.4", "1.3", "1.2", "1.1", "1.0"]


def test_list_has_a_hundred_series_unless_told_otherwise(client):
    async def fill():
        for number in range(1001):
            await client.store.register(report(SeriesInstanceUID=f"1.{number}"))

    client.run(fill())
    assert len(client.get("/series").json()["series"]) == 100
    assert len(client.get("/series?limit=1000").json()["series"]) == 1000


def test_list_is_filtered(client):
    client.register(SeriesInstanceUID="1.1", Modality="MR")
    client.register(SeriesInstanceUID="1.2", Modality="CT", StudyInstanceUID="1.9")
    for query in ("Modality=CT", "StudyInstanceUID=1.9", "PatientID=A/17&Modality=CT"):
        (row,) = client.get(f"/series?{query}").json()["series"]
        assert row["SeriesInstanceUID"] == "1.2"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        (f"limit={SECRET}", "limit"),
        (f"cursor={SECRET}", "cursor"),
        ("cursor=" + "x" * 513, "cursor"),
        ("PatientID=%00" + SECRET, "PatientID"),
        (f"{SECRET}=1", ""),
    ],
)
def test_wrong_parameter_is_named_and_not_repeated(client, query, field):
    answer = client.get(f"/series?{query}")
    assert_problem(answer, 422, field)
    assert SECRET not in answer.text


def test_answers_with_patient_data_are_not_cached(client):
    for answer in (client.register(), client.get("/series"), client.get("/series/1.2")):
        assert answer.headers["cache-control"] == "no-store"


# Health


def test_healthy_and_ready(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


def test_alive_but_not_ready_while_the_database_is_broken(client):
    client.store.out_of_order = True
    assert client.get("/healthz").status_code == 200
    assert_problem(client.get("/readyz"), 503)


def test_not_ready_while_the_database_does_not_answer(client, monkeypatch):
    monkeypatch.setattr(client.store, "check", lambda: asyncio.sleep(5))
    monkeypatch.setattr("seriesgate.server.routes.health._PATIENCE", 0.001)
    assert_problem(client.get("/readyz"), 503)


def test_end_of_the_app_closes_the_store():
    with AppClient() as client:
        client.run(client.store.check())
    with pytest.raises(StoreUnavailable):
        asyncio.run(client.store.check())


# Documentation


WITHOUT_A_MODEL = {
    "text/csv",
    "application/jsonl",
    "text/event-stream",
    "application/dicom+json",
    "image/png",
    "image/webp",
}


def test_openapi_documents_every_answer_with_a_model(client):
    schema = client.get("/openapi.json").json()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status in {"204", "304"}:
                    assert "content" not in answer
                    continue
                for media_type, content in answer["content"].items():
                    is_text = media_type in WITHOUT_A_MODEL
                    assert is_text or "$ref" in content["schema"], (path, status)
                    assert (media_type == "application/problem+json") == (int(status) >= 400)
    references = {
        line.split('"')[1].removeprefix("#/components/schemas/")
        for line in json.dumps(schema).split('"$ref": ')[1:]
    }
    assert references <= schema["components"]["schemas"].keys()
    operations = [each for path in schema["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert {"register_series", "list_series", "read_series", "alive", "ready"} <= set(names)
    post_operation = schema["paths"]["/series"]["post"]
    assert set(post_operation["responses"]) == {
        "200",
        "201",
        "400",
        "401",
        "403",
        "408",
        "409",
        "413",
        "415",
        "421",
        "422",
        "429",
        "431",
        "500",
        "503",
    }
    body = post_operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Series"}
    report_schema = schema["components"]["schemas"]["Series"]
    assert set(report_schema["required"]) == set(FIVE_FIELDS)
    assert set(report_schema["properties"]) == set(Series.model_fields)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_that_loads_scripts_from_elsewhere(client, path):
    assert_problem(client.get(path), 404)


def test_integer_may_be_written_as_a_float(client):
    """JSON knows one kind of number; some clients write 10.0 for 10."""
    answer = client.register(InstancesInSeries=10.0)
    assert answer.status_code == 201
    assert answer.text.count('"InstancesInSeries":10,') == 1
