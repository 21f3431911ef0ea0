"""QIDO-RS as clients use it, on both databases."""

from __future__ import annotations

import pytest
from dicomweb_client import DICOMwebClient
from tests.integration.app_client import SECRET, AppClient, assert_problem
from tests.integration.running_server import running_server
from tests.unit.server.examples import EVERY_FIELD, START

from seriesgate.server.registry.store import PagePosition, StudyPage


@pytest.fixture
def client():
    with AppClient() as client:
        client.register(**EVERY_FIELD)
        yield client


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def archive(request, tmp_path_factory, postgresql):
    """A DICOMweb client of a server that has a few series."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('qido')}/series_data.db"
    else:
        url = postgresql.migrated_database()
    with running_server(url) as server:
        for number in range(12):
            server.register(
                SeriesInstanceUID=f"1.{number}",
                StudyInstanceUID=f"2.{number // 3}",
                PatientID=f"P{number // 6}",
                PatientName=("Doe^Jane", "Müller^José=山田^太郎")[number // 6],
                Modality=("MR", "CT", "SR")[number % 3],
                StudyDate=f"202601{number // 3 + 1:02}",
                SeriesNumber=number,
                SeriesDescription=f"series {number}",
            )
        yield DICOMwebClient(f"{server.url}/dicom-web")
    if request.param == "postgresql":
        postgresql.give_back(url)


def values(objects, tag):
    return [each[tag]["Value"][0] for each in objects]


STUDY, SERIES = "0020000D", "0020000E"


def test_studies(archive):
    assert values(archive.search_for_studies(), STUDY) == ["2.3", "2.2", "2.1", "2.0"]
    for filters, expected in (
        ({"PatientID": "P1"}, ["2.3", "2.2"]),
        ({"PatientName": "doe*"}, ["2.1", "2.0"]),
        ({"PatientName": "m?ller*"}, ["2.3", "2.2"]),
        ({"StudyDate": "20260102-20260103"}, ["2.2", "2.1"]),
        ({"StudyDate": "20260104"}, ["2.3"]),
        ({"StudyInstanceUID": "2.1,2.3"}, ["2.3", "2.1"]),
        ({"ModalitiesInStudy": "CT", "PatientID": "P0"}, ["2.1", "2.0"]),
        ({"ModalitiesInStudy": "XA"}, []),
    ):
        found = archive.search_for_studies(search_filters=filters)
        assert values(found, STUDY) == expected, filters


def test_pages_of_studies(archive):
    pages = [archive.search_for_studies(limit=3, offset=offset) for offset in (0, 3, 6)]
    assert [values(page, STUDY) for page in pages] == [["2.3", "2.2", "2.1"], ["2.0"], []]
    whole = archive.search_for_studies(limit=1, get_remaining=True)
    assert len(whole) == 4


def test_series_of_a_study(archive):
    found = archive.search_for_series("2.1")
    assert values(found, SERIES) == ["1.5", "1.4", "1.3"]
    assert "00100010" not in found[0]
    found = archive.search_for_series("2.1", search_filters={"Modality": "CT"})
    assert values(found, SERIES) == ["1.4"]
    assert archive.search_for_series("9.9") == []


def test_series_of_all_studies(archive):
    found = archive.search_for_series(
        search_filters={"SeriesNumber": "7"}, fields=["SeriesDescription", "Manufacturer"]
    )
    (series,) = found
    assert series[SERIES]["Value"] == ["1.7"]
    assert series["00100010"]["Value"] == [
        {"Alphabetic": "Müller^José", "Ideographic": "山田^太郎"}
    ]
    assert series["00080005"]["Value"] == ["ISO_IR 192"]
    assert series["00201206"]["Value"] == [3]
    assert series["00080070"] == {"vr": "LO"}


def test_nothing_is_204_without_a_body(client):
    answer = client.get("/dicom-web/studies?PatientID=none")
    assert (answer.status_code, answer.content) == (204, b"")


def test_media_types(client):
    for accept in (
        "application/dicom+json",
        "application/json;q=0.9",
        'multipart/related; type="application/dicom+xml", application/dicom+json',
        "*/*",
    ):
        answer = client.get("/dicom-web/series", headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/dicom+json"
    refused = 'multipart/related; type="application/dicom+xml"'
    assert_problem(client.get("/dicom-web/series", headers={"Accept": refused}), 406)


def test_fuzzy_matching_is_answered_with_a_warning(client):
    plain = client.get("/dicom-web/studies?fuzzymatching=false")
    assert "warning" not in plain.headers
    fuzzy = client.get("/dicom-web/studies?fuzzymatching=true")
    assert fuzzy.headers["warning"].startswith('299 seriesgate "The fuzzymatching parameter')
    assert fuzzy.json() == plain.json()


def test_more_results_are_told_of_in_a_warning(client):
    client.register(SeriesInstanceUID="1.9", StudyInstanceUID="1.8")
    answer = client.get("/dicom-web/studies?limit=1")
    assert "additional results" in answer.headers["warning"]
    assert "warning" not in client.get("/dicom-web/studies?limit=1&offset=1").headers


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=x", "limit"),
        (f"StudyDate={SECRET}", "StudyDate"),
        (f"{SECRET}=1", ""),
        (f"PatientSex={SECRET}", "PatientSex"),
        (f"PatientName=%00{SECRET}", "PatientName"),
        (f"includefield=..{SECRET}", "includefield"),
    ],
)
def test_wrong_query_is_400(client, query, field):
    assert_problem(client.get(f"/dicom-web/studies?{query}"), 400, field)


def test_too_broad_a_search_is_413(client, monkeypatch):
    async def nothing_yet(_wanted, **_position):
        return StudyPage([], PagePosition(START, "1.2"))

    monkeypatch.setattr(client.store, "studies", nothing_yet)
    monkeypatch.setattr("seriesgate.server.routes.qido._PATIENCE", -1.0)
    assert_problem(client.get("/dicom-web/studies"), 413)


def test_tokens_are_asked_for():
    with AppClient(always=True) as closed:
        assert_problem(closed.get("/dicom-web/studies"), 401)
        assert_problem(closed.get("/events"), 401)
