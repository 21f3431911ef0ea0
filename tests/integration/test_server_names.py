"""A page in a browser gets nothing by leading its own name to the server (DNS rebinding)."""

from __future__ import annotations

import pytest
from tests.integration.app_client import AppClient, assert_problem
from tests.integration.running_server import running_server
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.server.access.tokens import Grant, Scope, token_digest

EVIL = {"Host": "evil.example:8000"}
TOKEN = "token-of-all"
ADMIN = Grant("all", token_digest(TOKEN), frozenset({Scope.ADMIN}))
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BY_BROWSER = {"Host": "localhost:8000"}
WANTED = {"name": "mine", "scopes": ["admin"]}


@pytest.fixture
def open_client():
    with AppClient() as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/readyz", "/series", "/series.csv", "/patients", "/events", "/tokens", "/metrics"]
)
def test_open_server_tells_nothing_to_who_calls_it_by_a_foreign_name(open_client, path):
    answer = open_client.get(path, headers=EVIL)
    assert_problem(answer, 421)
    assert "server.allowed_hosts" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"), [("POST", "/tokens", WANTED), ("POST", "/series", FIVE_FIELDS)]
)
def test_open_server_changes_nothing_for_a_foreign_name(open_client, method, path, body):
    headers = EVIL | {"Origin": "http://evil.example:8000", "Sec-Fetch-Site": "same-origin"}
    assert_problem(open_client.request(method, path, json=body, headers=headers), 421)
    assert open_client.get("/tokens").json() == {"tokens": []}
    assert open_client.get("/series").json()["series"] == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 201),
        ("http://evil.example:8000", 403),
        ("http://localhost:3000", 403),
        ("null", 403),
    ],
)
def test_change_is_taken_from_no_page_of_another_origin(open_client, origin, status):
    """Old browsers, and all of them to plain HTTP on another machine, send Origin alone."""
    headers = BY_BROWSER | {"Origin": origin}
    answer = open_client.request("POST", "/tokens", json=WANTED, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert "server.allowed_hosts" in answer.json()["detail"]


def test_change_by_session_is_taken_from_no_page_of_another_origin():
    with AppClient(fixed=[ADMIN]) as client:
        client.request("POST", "/session", headers=BEARER)
        ours = BY_BROWSER | {"X-Requested-With": "dashboard"}
        for origin, status in (("http://evil.example", 403), ("http://localhost:8000", 201)):
            headers = ours | {"Origin": origin}
            answer = client.request("POST", "/tokens", json=WANTED, headers=headers)
            assert answer.status_code == status


def test_server_with_tokens_may_be_called_by_any_name():
    """A page that leads its name here has no token, and no cookie of another name."""
    with AppClient(fixed=[ADMIN]) as client:
        assert client.get("/series", headers=EVIL | BEARER).status_code == 200
        assert client.get("/healthz", headers=EVIL).status_code == 200
        assert_problem(client.get("/series", headers=EVIL), 401)


def test_first_token_opens_the_server_to_other_names(open_client):
    made = open_client.request("POST", "/tokens", json=WANTED).json()
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert open_client.get("/series", headers=EVIL | bearer).status_code == 200


def test_listed_names_are_the_only_ones_with_a_token_too():
    with AppClient(fixed=[ADMIN], allowed_hosts=["series.example.org"]) as client:
        proxied = {"Host": "series.example.org", "Origin": "https://series.example.org"}
        assert client.get("/series", headers=proxied | BEARER).status_code == 200
        assert client.get("/series", headers=BEARER).status_code == 200
        assert_problem(client.get("/series", headers=EVIL | BEARER), 421)
        assert client.get("/healthz", headers=EVIL).status_code == 200


def test_listed_name_opens_a_server_without_tokens():
    with AppClient(allowed_hosts=["series.example.org"]) as client:
        proxied = {"Host": "series.example.org:443", "Origin": "https://series.example.org"}
        answer = client.request("POST", "/tokens", json=WANTED, headers=proxied)
        assert answer.status_code == 201


def test_server_as_it_is_started_refuses_a_foreign_name_from_its_first_request_on(tmp_path):
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        assert server.client.get("/series", headers=EVIL).status_code == 421
        assert server.client.get("/series").status_code == 200
    url = f"sqlite:///{tmp_path}/series_data.db"
    with running_server(url, allowed_hosts=("evil.example",)) as server:
        assert server.client.get("/series", headers=EVIL).status_code == 200
