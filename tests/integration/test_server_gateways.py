"""`/gateways`: who may tell, look and ask, and what comes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.integration.app_client import AppClient, assert_problem
from tests.unit.server.examples import heartbeat

from seriesgate.server.access.tokens import Grant, Scope, token_digest

LETTER = "a" * 32
GRANTS = [Grant(scope, token_digest(f"t-{scope}"), frozenset({scope})) for scope in Scope]


@pytest.fixture
def client():
    with AppClient() as client:
        yield client


def beat(client, name="north", *letters, headers=None):
    body = heartbeat(*letters).model_dump_json()
    url = f"/gateways/{name}/heartbeat"
    headers = {"Content-Type": "application/json"} | (headers or {})
    return client.request("POST", url, content=body, headers=headers)


def test_gateway_is_listed_and_goes_quiet(client):
    assert client.get("/gateways").json() == {"gateways": []}
    assert beat(client).json() == {"RetryDeadLetters": []}
    (known,) = client.get("/gateways").json()["gateways"]
    assert (known["Name"], known["IsQuiet"], known["LateArrivalRate"]) == ("north", False, 0.25)
    client.clock.now += timedelta(seconds=30)
    assert not client.get("/gateways/north").json()["IsQuiet"]
    client.clock.now += timedelta(milliseconds=1)
    assert client.get("/gateways/north").json()["IsQuiet"]
    assert client.request("DELETE", "/gateways/north").status_code == 204
    assert_problem(client.request("DELETE", "/gateways/north"), 404)
    assert_problem(client.get("/gateways/north"), 404)


def test_retry_travels_with_the_answer_to_the_next_heartbeat(client):
    beat(client, "a%2Fb", LETTER)
    url = f"/gateways/a%2Fb/dead-letters/{LETTER}/retry"
    asked = client.request("POST", url)
    assert asked.status_code == 202
    assert asked.json()["DeadLetterList"][0]["RetryAsked"]
    assert beat(client, "a%2Fb", LETTER).json() == {"RetryDeadLetters": [LETTER]}
    assert beat(client, "a%2Fb").json() == {"RetryDeadLetters": []}
    assert_problem(client.request("POST", url), 404)


def test_each_thing_needs_its_scope():
    def bearer(scope):
        return {"Authorization": f"Bearer t-{scope}"}

    with AppClient(fixed=GRANTS) as client:
        assert_problem(beat(client, headers=bearer(Scope.READ)), 403)
        assert beat(client, "north", LETTER, headers=bearer(Scope.REGISTER)).status_code == 200
        assert_problem(client.get("/gateways", headers=bearer(Scope.REGISTER)), 403)
        url = f"/gateways/north/dead-letters/{LETTER}/retry"
        assert_problem(client.request("POST", url, headers=bearer(Scope.READ)), 403)
        assert client.request("POST", "/session", headers=bearer(Scope.ADMIN)).status_code == 201
        assert_problem(client.request("POST", url), 403)
        ours = {"X-Requested-With": "seriesgate"}
        assert client.request("POST", url, headers=ours).status_code == 202
