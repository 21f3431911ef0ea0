"""A series whose UIDs are none is kept as it is, named, and found wherever others are."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tests.integration.app_client import assert_problem
from tests.integration.running_server import read_events, running_server
from tests.unit.server.examples import FIVE_FIELDS
from typer.testing import CliRunner

from seriesgate.cli import app
from seriesgate.series.uid import as_path_segment

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (16).to_bytes(4) + (16).to_bytes(4) + b"\x08\x00"
ODD = [
    "1.2/3",
    "1.2/preview",
    "1.2/repair",
    "/",
    "//1.2",
    "../../etc/passwd",
    "..",
    ".",
    "1.2/../3",
    "a b",
    "1.2?x=1",
    "1.2#x",
    "100%",
    "%2F",
    "%2e%2e",
    "a%00b",
    "a+b",
    "a&b=c",
    "a,b",
    "a;b",
    "*",
    "1.*",
    "?",
    "'; DROP TABLE series_data; --",
    "<script>",
    '"quoted"',
    "=1+1",
    "\u00dcber/1",
    "\U0001f984.1",
    "\u202e1.2",
    "01.2",
    "1" * 128,
    "series.csv",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(f"sqlite:///{tmp_path_factory.mktemp('db')}/series_data.db") as server:
        server.register(SeriesInstanceUID="1.2")
        yield server


@pytest.fixture(scope="module")
def known(server):
    """Every odd UID once, with a study that is as odd."""
    for number, uid in enumerate(ODD):
        report = FIVE_FIELDS | {"SeriesInstanceUID": uid, "StudyInstanceUID": f"S/{uid}"[:128]}
        answer = server.client.post("/series", json=report | {"PatientID": f"P{number}"})
        assert answer.status_code == 201, uid
        assert answer.json()["InvalidUIDs"] == ["SeriesInstanceUID", "StudyInstanceUID"]
        location = answer.headers["location"]
        assert server.client.get(location).json()["SeriesInstanceUID"] == uid
    return server.client


@pytest.mark.parametrize("uid", ODD)
def test_series_is_found_by_every_route(known, uid):
    path = f"/series/{as_path_segment(uid)}"
    assert known.get(path).json()["SeriesInstanceUID"] == uid
    assert_problem(known.get(f"{path}/preview"), 404)
    assert known.put(f"{path}/preview", content=PNG).status_code == 204
    assert known.get(f"{path}/preview").content == PNG
    assert known.get(path).json()["HasPreview"]
    assert_problem(known.post(f"{path}/repair"), 409)
    study = f"S/{uid}"[:128]
    for url, query in (
        ("/series", {"StudyInstanceUID": study}),
        ("/dicom-web/series", {"SeriesInstanceUID": uid} if uid != "*" else {"PatientID": "P20"}),
        (f"/dicom-web/studies/{as_path_segment(study)}/series", {}),
        ("/dicom-web/studies", {"StudyInstanceUID": study}),
    ):
        found = known.get(url, params=query)
        assert found.status_code == 200, url
        texts = json.dumps(found.json(), ensure_ascii=False)
        assert json.dumps(study if url.endswith("studies") else uid, ensure_ascii=False) in texts
    assert known.get("/studies", params={"StudyInstanceUID": study}).json()["studies"]


def test_other_series_are_not_taken_for_odd_ones(known):
    assert known.get("/series/1.2").json()["InvalidUIDs"] == []
    assert_problem(known.get("/series/1.2/preview"), 404)
    assert known.get("/series/1.2%2Fpreview").json()["SeriesInstanceUID"] == "1.2/preview"
    assert known.get("/series/1.2%2fpreview").json()["SeriesInstanceUID"] == "1.2/preview"


def test_odd_series_are_in_lists_pages_exports_and_events(known):
    uids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = known.get("/series", params={"limit": 3, **cursor}).json()
        uids += [row["SeriesInstanceUID"] for row in page["series"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(uids) == sorted([*ODD, "1.2"])
    rows = list(csv.DictReader(io.StringIO(known.get("/series.csv").text)))
    assert {row["SeriesInstanceUID"] for row in rows} == {*ODD, "1.2"} - {"=1+1"} | {"'=1+1"}
    lines = [json.loads(line) for line in known.get("/series.jsonl").text.splitlines()]
    assert {row["SeriesInstanceUID"] for row in lines} == {*ODD, "1.2"}
    assert all(row["InvalidUIDs"] for row in lines if row["SeriesInstanceUID"] != "1.2")
    with known.stream("GET", "/events", params={"after": 0}) as answer:
        events = read_events(answer, len(ODD) + 1)
    assert {row["SeriesInstanceUID"] for _, _, row in events} == {*ODD, "1.2"}


@pytest.mark.usefixtures("known")
def test_commands_find_odd_series(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = f"--server-url={server.url}"
    listed = CliRunner().invoke(app, ["series", "list", "--all", "--json", url])
    assert {row["SeriesInstanceUID"] for row in json.loads(listed.output)} == {*ODD, "1.2"}
    for uid in ("1.2/3", "..", "a b", "100%", "1.2?x=1"):
        server.register(SeriesInstanceUID=uid, StudyInstanceUID=f"S/{uid}", **FALSE[uid])
        done = CliRunner().invoke(app, ["series", "repair", uid, url])
        assert done.output == "the series has 10 instances now\n"


FALSE = {
    uid: {"InstancesInSeries": 2**31 - 1, "PatientID": f"P{number}"}
    for number, uid in enumerate(ODD)
}


@pytest.mark.parametrize("uid", ["1\x002", "1.2\n", "\t1.2", "1\x7f", "1\x85", "\x1b[31m", " ", ""])
def test_control_characters_are_refused_with_a_reason(server, uid):
    answer = server.client.post("/series", json=FIVE_FIELDS | {"SeriesInstanceUID": uid})
    assert_problem(answer, 422, "SeriesInstanceUID")
    if uid.strip(" "):
        assert "character that is not allowed" in answer.json()["errors"][0]["message"]


def test_spaces_at_the_ends_mean_nothing(server):
    server.register(SeriesInstanceUID="  7.7 ")
    assert server.client.get("/series/7.7").json()["SeriesInstanceUID"] == "7.7"
    assert server.client.get("/series/%207.7%20").json()["InvalidUIDs"] == []


def test_odd_series_is_deleted_and_no_other(tmp_path):
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        for uid in ("1.2", *ODD):
            server.register(SeriesInstanceUID=uid)
        for uid in ODD:
            assert server.client.delete(f"/series/{as_path_segment(uid)}").status_code == 200
        (left,) = server.client.get("/series").json()["series"]
        assert left["SeriesInstanceUID"] == "1.2"
