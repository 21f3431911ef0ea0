"""The HTTP API: what it refuses, and how it says so."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.app_client import SECRET, AppClient, assert_problem
from tests.unit.server.examples import EVERY_FIELD, FIVE_FIELDS

from seriesgate.series.report import Series
from seriesgate.server.registry.store import StoredSeries


@pytest.fixture
def client():
    with AppClient() as client:
        yield client


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_other_media_types_are_415(client, content_type):
    answer = client.post(json.dumps(FIVE_FIELDS), **{"Content-Type": content_type})
    assert_problem(answer, 415)
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_compressed_body_is_415(client, encoding):
    assert_problem(client.post(b"\x1f\x8b", **{"Content-Encoding": encoding}), 415)


VALID = json.dumps(FIVE_FIELDS)[:-1]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "nonsense",
        VALID + ', "x": NaN}',
        VALID + ', "x": -Infinity}',
        VALID + ', "x": "\\ud800"}',
        VALID + ', "x": "\\udc00\\ud800"}',
        VALID + ', "x": "raw\ncontrol"}',
        VALID + ', "PatientID": ' + "9" * 100_000 + "}",
        VALID + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "[" * 500_000,
        '{"a":' * 100_000,
        VALID.encode("utf-16"),
        VALID.encode().replace(b"Doe", b"D\xf6e") + b"}",
        b'{"PatientName": "\xed\xa0\x80"}',
    ],
    ids=lambda body: repr(body[-20:]),
)
def test_what_is_not_json_is_422(client, body):
    assert_problem(client.post(body), 422, "")


@pytest.mark.parametrize("body", ["null", "[]", "17", '"text"'])
def test_json_that_is_no_object_is_422(client, body):
    assert_problem(client.post(body), 422, "")


@pytest.mark.parametrize("field", FIVE_FIELDS)
def test_missing_field_is_named(client, field):
    fields = {name: value for name, value in FIVE_FIELDS.items() if name != field}
    assert_problem(client.post(json.dumps(fields)), 422, field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("SeriesInstanceUID", ""),
        ("SeriesInstanceUID", "1.2\n3"),
        ("SeriesInstanceUID", "1" * 129),
        ("SeriesInstanceUID", "1.2\x00"),
        ("SeriesInstanceUID", 12),
        ("StudyInstanceUID", None),
        ("PatientName", SECRET + "\x00"),
        ("PatientName", SECRET + "x" * 1024),
        ("PatientName", {SECRET: SECRET}),
        ("PatientID", True),
        ("PatientID", 17.5),
        ("PatientID", 10**2000),
        ("PatientID", [SECRET]),
        ("InstancesInSeries", 0),
        ("InstancesInSeries", -1),
        ("InstancesInSeries", 2**31),
        ("InstancesInSeries", "10"),
        ("InstancesInSeries", 10.5),
        ("InstancesInSeries", 1e300),
        ("InstancesInSeries", True),
        ("InstancesInSeries", SECRET),
        ("Revision", 0),
        ("Bytes", 2**63),
        ("SeriesNumber", 1e300),
        ("ClosedAt", "2026-01-01T12:00:00"),
        ("ClosedAt", SECRET),
        ("ClosedAt", "0001-01-01T00:00:00+01:00"),
        ("LastInstanceAt", "9999-12-31T23:59:59-01:00"),
        ("MissingInstanceNumbers", list(range(1001))),
        ("ConflictingInstances", ["1.2"] * 1001),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_wrong_field_is_named_and_not_repeated(client, field, value):
    answer = client.register(**{field: value})
    assert_problem(answer, 422, field)
    assert SECRET not in answer.text


def test_item_of_a_list_is_named(client):
    answer = client.register(MissingInstanceNumbers=[1, SECRET])
    assert_problem(answer, 422, "MissingInstanceNumbers.1")
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("MissingInstanceNumbers", 2**31),
        ("MissingInstanceNumbers", 10**2000),
        ("ConflictingInstances", "1" * 129),
        ("ConflictingInstances", "1\n2"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_items_of_lists_are_bounded(client, field, item):
    assert_problem(client.register(**{field: [item]}), 422, f"{field}.0")


def test_list_of_errors_is_bounded(client):
    answer = client.register(MissingInstanceNumbers=["x"] * 1000)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) <= 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from(sorted(Series.model_fields)), json_values))
def test_any_json_is_stored_or_refused_and_never_an_error_of_ours(client, fields):
    answer = client.post(json.dumps(EVERY_FIELD | fields).encode("utf-8", "surrogatepass"))
    assert answer.status_code in {200, 201, 409, 422}
    if answer.is_success:
        StoredSeries.model_validate_json(answer.content)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary())
def test_any_bytes_are_refused_with_a_problem(client, body):
    assert_problem(client.post(body), 422, *client.post(body).json()["errors"][:0] or [""])


@pytest.mark.parametrize("field", ["StudyInstanceUID", "PatientID"])
def test_contradiction_is_409_and_names_the_field(client, field):
    client.register(**{field: "kept"})
    answer = client.register(InstancesInSeries=99, **{field: SECRET})
    assert_problem(answer, 409, field)
    assert SECRET not in answer.text
    assert "kept" not in answer.text
    assert client.get("/series/1.2").json()["InstancesInSeries"] == 10


def test_large_body_is_413(client):
    assert_problem(client.post(b" " * (2**20 + 1)), 413)
    assert client.post(b" " * (2**20 - 300) + json.dumps(FIVE_FIELDS).encode()).is_success


def test_unknown_path_is_404_and_not_repeated(client):
    answer = client.get(f"/nothing/{SECRET}")
    assert_problem(answer, 404)
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/series", "GET, HEAD, POST"),
        ("POST", "/series/1.2", "DELETE, GET, HEAD"),
        ("PUT", "/healthz", "GET, HEAD"),
    ],
)
def test_other_method_is_405_and_says_which_there_are(client, method, path, allowed):
    answer = client.request(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == allowed


def test_broken_database_is_503_and_says_when_to_come_back(client):
    client.store.out_of_order = True
    for answer in (client.register(), client.get("/series"), client.get("/series/1.2")):
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    client.store.out_of_order = False
    assert client.register().status_code == 201


def test_fault_of_ours_is_500_without_its_text(client, monkeypatch):
    async def register(*_arguments):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(client.store, "register", register)
    answer = client.register()
    assert_problem(answer, 500)
    assert SECRET not in answer.text
