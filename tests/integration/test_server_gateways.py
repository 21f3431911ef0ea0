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


def bearer(name):
    return {"Authorization": f"Bearer t-{name}"}


@pytest.fixture
def several():
    """A server with tokens of two gateways and of an administrator."""
    scopes = {"admin": Scope.ADMIN, "one": Scope.REGISTER, "other": Scope.REGISTER}
    grants = [
        Grant(name, token_digest(f"t-{name}"), frozenset({scope})) for name, scope in scopes.items()
    ]
    with AppClient(fixed=grants) as client:
        yield client


def test_name_of_a_gateway_can_be_used_with_its_token_alone_until_it_is_allowed(several):
    assert beat(several, headers=bearer("one")).status_code == 200
    refused = beat(several, headers=bearer("other"))
    assert_problem(refused, 409)
    assert "seriesgate token allow" in refused.json()["detail"]
    url = "/gateways/north/token"
    assert_problem(
        several.request("PUT", url, json={"token": "other"}, headers=bearer("other")), 403
    )
    for body, status in (({"token": "none"}, 422), ({}, 422), ({"token": "a b"}, 422)):
        answer = several.request("PUT", url, json=body, headers=bearer("admin"))
        assert_problem(answer, status, "token")
    allowed = several.request("PUT", url, json={"token": "other"}, headers=bearer("admin"))
    assert allowed.json()["Token"] == "other"
    assert beat(several, headers=bearer("other")).status_code == 200
    assert_problem(beat(several, headers=bearer("one")), 409)
    unknown = "/gateways/nobody/token"
    answer = several.request("PUT", unknown, json={"token": "one"}, headers=bearer("admin"))
    assert_problem(answer, 404)


def test_administrator_takes_a_name_over_and_a_revoked_token_keeps_nobody_out(several):
    beat(several, headers=bearer("one"))
    assert beat(several, headers=bearer("admin")).status_code == 200
    assert several.get("/gateways/north", headers=bearer("admin")).json()["Token"] == "admin"
    wanted = {"name": "old", "scopes": ["register"]}
    made = several.request("POST", "/tokens", json=wanted, headers=bearer("admin")).json()
    old = {"Authorization": f"Bearer {made['token']}"}
    assert beat(several, "south", headers=old).status_code == 200
    assert_problem(beat(several, "south", headers=bearer("one")), 409)
    several.request("DELETE", "/tokens/old", headers=bearer("admin"))
    assert beat(several, "south", headers=bearer("one")).status_code == 200


def test_invented_gateways_keep_no_real_one_off_the_page(several):
    assert beat(several, "real", headers=bearer("one")).status_code == 200
    for number in range(600):
        assert beat(several, f"invented-{number}", headers=bearer("other")).status_code == 200
    assert beat(several, "late", headers=bearer("one")).status_code == 200
    known = several.get("/gateways", headers=bearer("admin")).json()["gateways"]
    assert len(known) == 500
    assert {"real", "late"} <= {each["Name"] for each in known}
