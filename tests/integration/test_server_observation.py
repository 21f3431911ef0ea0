"""The server's metrics and logs: right, bounded, and without patient data."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.app_client import SECRET, AppClient
from tests.integration.test_server_gateways import beat
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.json_log import JsonFormatter
from seriesgate.server.access.tokens import Grant, Scope, token_digest
from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.local_request import request_locally

GRANT = Grant("ward-3", token_digest("a-token"), frozenset({Scope.ADMIN}))
BEARER = {"Authorization": "Bearer a-token"}


@pytest.fixture
def client():
    with AppClient() as client:
        yield client


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests(client, method, route, status):
    labels = (("method", method), ("route", route), ("status", str(status)))
    counted = samples(client.get("/metrics").text)
    return counted.get(("seriesgate_server_requests_total", *labels), 0)


def test_requests_are_counted_by_route_and_status(client):
    for count in (1, 2, 2):
        client.register(InstancesInSeries=count)
    client.register(PatientID="other")
    client.get("/series/1.2")
    client.get("/series/1.9")
    assert requests(client, "POST", "/series", 201) == 1
    assert requests(client, "POST", "/series", 200) == 2
    assert requests(client, "POST", "/series", 409) == 1
    assert requests(client, "GET", "/series/{SeriesInstanceUID}", 200) == 1
    assert requests(client, "GET", "/series/{SeriesInstanceUID}", 404) == 1
    counted = samples(client.get("/metrics").text)
    for outcome, count in {"created": 1, "updated": 1, "unchanged": 1}.items():
        assert counted["seriesgate_server_reports_total", ("outcome", outcome)] == count
    assert counted["seriesgate_server_request_seconds_count", ("route", "/series")] == 4


def test_internal_error_is_counted_too(client, monkeypatch):
    async def broken():
        raise RuntimeError(SECRET)

    monkeypatch.setattr(client.store, "check", broken)
    client.get("/readyz")
    assert requests(client, "GET", "/readyz", 500) == 1


def test_transactions_are_timed(tmp_path):
    settings = ServerSettings(database_url=f"sqlite:///{tmp_path}/series_data.db")
    counted = samples(request_locally(settings, "GET", "/metrics").text)
    assert counted["seriesgate_server_database_seconds_count", ("kind", "read")] >= 1


def test_labels_are_bounded_and_tell_of_no_patient(client):
    def labels():
        return {key[1:] for key in samples(client.get("/metrics").text)}

    def storm(number):
        client.register(SeriesInstanceUID=f"{SECRET}.{number}", PatientName=SECRET)
        client.get(f"/series/{SECRET}.{number}?x={SECRET}")
        client.get(f"/{SECRET}/{number}")
        client.request(f"{SECRET[:6].upper()}{'X' * number}", "/series")

    storm(1)
    labels()
    before = labels()
    for number in range(2, 20):
        storm(number)
    assert labels() == before
    assert SECRET not in client.get("/metrics").text


def test_gateways_are_measured_until_they_are_forgotten(client):
    def measured(name):
        prefix = f"seriesgate_server_gateway_{name}"
        counted = samples(client.get("/metrics").text)
        return {key[1][1]: value for key, value in counted.items() if key[0] == prefix}

    beat(client, "north")
    client.clock.now += timedelta(seconds=20)
    beat(client, 'a"%2Fb', "a" * 32)
    client.clock.now += timedelta(seconds=11)
    now = client.clock.now.timestamp()
    last_seen = {"north": now - 31, 'a"/b': now - 11}
    assert measured("last_seen_timestamp_seconds") == last_seen
    assert measured("quiet") == {"north": 1, 'a"/b': 0}
    assert measured("dead_letters") == {"north": 0, 'a"/b': 1}
    assert measured("pending_deliveries") == {"north": 1, 'a"/b': 1}
    assert measured("late_arrival_ratio") == {"north": 0.25, 'a"/b': 0.25}
    client.request("DELETE", "/gateways/north")
    assert measured("quiet") == {'a"/b': 0}


def test_metrics_go_on_without_a_database(client, monkeypatch):
    async def unavailable():
        raise StoreUnavailable("no")

    monkeypatch.setattr(client.app.state.gateways, "records", unavailable)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "seriesgate_server_requests_total" in answer.text
    assert "seriesgate_server_gateway_" not in answer.text


def test_access_log_names_the_route_and_the_token_and_no_patient(caplog):
    caplog.set_level(logging.INFO, "seriesgate.access")
    with AppClient(fixed=[GRANT], log=True) as client:
        client.request(
            "POST", "/series", json=FIVE_FIELDS | {"PatientName": SECRET}, headers=BEARER
        )
        client.get(f"/series/{SECRET}?PatientID={SECRET}", headers=BEARER)
        client.get(f"/{SECRET}")
    entries = [(r.method, r.route, r.status, r.token) for r in caplog.records]
    assert entries == [
        ("POST", "/series", 201, "ward-3"),
        ("GET", "/series/{SeriesInstanceUID}", 404, "ward-3"),
        ("GET", "unknown", 404, ""),
    ]
    assert caplog.records[0].getMessage().startswith("127.0.0.1 ward-3 POST /series 201 ")
    assert SECRET not in caplog.text


def test_no_access_log_unless_it_is_wanted(client, caplog):
    caplog.set_level(logging.INFO, "seriesgate.access")
    client.get("/series")
    assert caplog.records == []


def test_json_log_is_one_object_a_line():
    record = logging.makeLogRecord(
        {
            "name": "seriesgate.x",
            "levelname": "WARNING",
            "msg": "two\nlines of %s",
            "args": ("Ä",),
            "created": 0.5,
            "processName": "server",
            "series": 3,
        }
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.500000+00:00",
        "level": "WARNING",
        "logger": "seriesgate.x",
        "program": "server",
        "message": "two\nlines of Ä",
        "series": 3,
    }


def test_json_log_has_the_traceback():
    error = ValueError("wrong")
    record = logging.makeLogRecord({"msg": "x", "exc_info": (ValueError, error, None)})
    entry = json.loads(JsonFormatter().format(record))
    assert entry["exception"].endswith("ValueError: wrong")
