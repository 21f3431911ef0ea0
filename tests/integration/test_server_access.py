"""Who may do what at the server's API."""

from __future__ import annotations

import logging

import pytest
from fastapi.routing import APIRoute
from tests.integration.app_client import SECRET, AppClient, assert_problem
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.server.access.tokens import Grant, Scope, token_digest
from seriesgate.server.registry.store import StoreUnavailable
from seriesgate.server.routes.access import Access, PublicAccess, access_of

TOKENS = {scope: f"token-of-{scope}" for scope in Scope}
GRANTS = [Grant(scope, token_digest(token), frozenset({scope})) for scope, token in TOKENS.items()]
REQUESTS = {
    ("POST", "/series"): Scope.REGISTER,
    ("GET", "/series"): Scope.READ,
    ("GET", "/series/1.2"): Scope.READ,
    ("GET", "/series/1.2/preview"): Scope.READ,
    ("PUT", "/series/1.2/preview"): Scope.REGISTER,
    ("POST", "/series/1.2/repair"): Scope.ADMIN,
    ("PUT", "/gateways/north/token"): Scope.ADMIN,
    ("GET", "/tokens"): Scope.ADMIN,
    ("POST", "/tokens"): Scope.ADMIN,
    ("DELETE", "/tokens/none"): Scope.ADMIN,
    ("GET", "/readyz"): None,
    ("GET", "/openapi.json"): None,
}


@pytest.fixture
def client():
    """A client of a server with a fixed token for each scope."""
    with AppClient(fixed=GRANTS) as client:
        yield client


@pytest.fixture
def open_client():
    """A client of a server on loopback without tokens."""
    with AppClient() as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def make_token(client, name="ward-3", scopes=("register",), **headers):
    body = {"name": name, "scopes": list(scopes)}
    return client.request("POST", "/tokens", json=body, headers=headers)


def status_of(client, method, url, token):
    body = {"json": FIVE_FIELDS} if (method, url) == ("POST", "/series") else {}
    return client.request(method, url, headers=bearer(token), **body).status_code


def test_every_route_says_who_may_call_it(client):
    routes = [route for route in client.app.routes if not isinstance(route, APIRoute)]
    assert routes == [], "only such routes have dependencies"
    accesses = {route.path: access_of(route) for route in client.app.routes}
    assert [path for path, access in accesses.items() if access is None] == []
    assert [path for path, access in accesses.items() if isinstance(access, PublicAccess)] == [
        "/healthz",
        "/",
        "/dashboard/{path:path}",
    ]


def test_route_that_does_not_say_is_noticed(client):
    @client.app.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(AssertionError):
        test_every_route_says_who_may_call_it(client)


@pytest.mark.parametrize("request_", REQUESTS)
def test_scope_is_needed_and_enough_and_admin_has_all(client, request_):
    method, url = request_
    needed = REQUESTS[request_]
    for scope, token in TOKENS.items():
        allowed = needed in {None, scope} or scope is Scope.ADMIN
        assert (status_of(client, method, url, token) != 403) == allowed


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic dG9rZW4=",
        "token-of-admin",
        "Bearer " + "a" * 5000,
    ],
)
def test_nothing_without_a_right_token(client, request_, authorization):
    method, url = request_
    answer = client.request(method, url, headers={"Authorization": authorization})
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="seriesgate"')


def test_refusals_follow_rfc_6750(client):
    unknown = client.get("/series", headers=bearer(SECRET))
    assert_problem(unknown, 401)
    assert 'error="invalid_token"' in unknown.headers["www-authenticate"]
    too_little = client.get("/series", headers=bearer(TOKENS[Scope.REGISTER]))
    assert_problem(too_little, 403)
    assert 'error="insufficient_scope", scope="read"' in too_little.headers["www-authenticate"]
    assert "error" not in client.get("/series").headers["www-authenticate"]


def test_scheme_is_compared_without_case(client):
    headers = {"Authorization": f"bEARER  {TOKENS[Scope.READ]} "}
    assert client.get("/series", headers=headers).status_code == 200


def test_anyone_may_ask_whether_the_process_lives(client):
    assert client.get("/healthz").status_code == 200


def test_body_is_not_read_before_the_token(client):
    answer = client.post("{", Authorization="Bearer wrong")
    assert_problem(answer, 401)


def test_server_without_tokens_is_open_until_the_first_is_made(open_client):
    assert open_client.get("/series").status_code == 200
    made = make_token(open_client)
    assert made.status_code == 201
    assert_problem(open_client.get("/series"), 401)
    assert open_client.register().status_code == 401
    headers = bearer(made.json()["token"])
    assert (
        open_client.request("POST", "/series", json=FIVE_FIELDS, headers=headers).status_code == 201
    )
    assert open_client.get("/series", headers=headers).status_code == 403


def test_server_that_others_can_reach_is_never_open():
    with AppClient(always=True) as client:
        assert_problem(client.get("/series"), 401)


def test_token_is_shown_once_and_kept_as_its_digest(open_client):
    token = make_token(open_client, scopes=["admin"]).json()["token"]
    listed = open_client.get("/tokens", headers=bearer(token))
    assert token not in listed.text
    assert listed.headers["cache-control"] == "no-store"
    (entry,) = listed.json()["tokens"]
    assert (entry["name"], entry["scopes"], entry["revoked_at"]) == ("ward-3", ["admin"], None)
    (record,) = open_client.run(open_client.tokens.records())
    assert record.grant.digest == token_digest(token)
    assert len(token) > 43


def test_tokens_differ(client):
    admin = bearer(TOKENS[Scope.ADMIN])
    made = [make_token(client, name=f"t{n}", **admin).json()["token"] for n in range(5)]
    assert len(set(made)) == 5


def test_revoked_token_is_refused_at_once_and_the_server_stays_closed(open_client):
    token = make_token(open_client, scopes=["admin"]).json()["token"]
    assert open_client.request("DELETE", "/tokens/ward-3", headers=bearer(token)).status_code == 200
    assert_problem(open_client.get("/tokens", headers=bearer(token)), 401)
    assert_problem(open_client.get("/series"), 401)


def test_token_that_another_server_makes_or_revokes_is_noticed_within_seconds(client):
    grant = Grant("other", token_digest("other-token"), frozenset({Scope.READ}))
    assert status_of(client, "GET", "/series", "other-token") == 401
    client.run(client.tokens.add(grant))
    client.now += 5.0
    assert status_of(client, "GET", "/series", "other-token") == 200
    client.run(client.tokens.revoke("other"))
    client.now += 5.0
    assert status_of(client, "GET", "/series", "other-token") == 401


def test_name_is_used_once_and_revoking_is_for_good(client):
    admin = bearer(TOKENS[Scope.ADMIN])
    assert make_token(client, **admin).status_code == 201
    assert_problem(make_token(client, **admin), 409, "name")
    first = client.request("DELETE", "/tokens/ward-3", headers=admin).json()
    again = client.request("DELETE", "/tokens/ward-3", headers=admin).json()
    assert first == again
    assert first["revoked_at"]
    assert_problem(make_token(client, **admin), 409, "name")
    assert_problem(client.request("DELETE", "/tokens/none", headers=admin), 404)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "../x", "scopes": ["read"]},
        {"name": "x\n", "scopes": ["read"]},
        {"name": "", "scopes": ["read"]},
        {"name": "x" * 65, "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["all"]},
        {"name": "x", "scopes": ["read"], "token": "mine"},
    ],
)
def test_wrong_request_for_a_token(client, body):
    answer = client.request("POST", "/tokens", json=body, headers=bearer(TOKENS[Scope.ADMIN]))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_who_guesses_is_slowed_down(client, caplog):
    guesses = [client.get("/series", headers=bearer(f"{SECRET}-{n}")) for n in range(25)]
    assert [guess.status_code for guess in guesses] == [401] * 20 + [429] * 5
    assert_problem(guesses[-1], 429)
    assert guesses[-1].headers["retry-after"] == "60"
    assert client.get("/series", headers=bearer(TOKENS[Scope.READ])).status_code == 429
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert SECRET not in caplog.text
    client.now += 60.0
    assert client.get("/series", headers=bearer(TOKENS[Scope.READ])).status_code == 200


def test_neighbour_of_one_who_guesses_goes_on(client):
    """Behind one proxy or NAT they share an address."""
    good = bearer(TOKENS[Scope.READ])
    assert client.get("/series", headers=good).status_code == 200
    for number in range(30):
        client.get("/series", headers=bearer(f"guess-{number}"))
    assert client.get("/series", headers=good).status_code == 200
    assert client.get("/series", headers=bearer("one more")).status_code == 429


def test_tokens_that_can_not_be_read_let_nobody_in(client, monkeypatch):
    async def broken():
        raise StoreUnavailable("out of order")

    monkeypatch.setattr(client.tokens, "records", broken)
    assert_problem(client.get("/series", headers=bearer(TOKENS[Scope.READ])), 503)


def test_description_says_what_each_route_needs(client):
    headers = bearer(TOKENS[Scope.REGISTER])
    paths = client.get("/openapi.json", headers=headers).json()["paths"]
    for (method, url), scope in REQUESTS.items():
        if url == "/openapi.json":
            continue
        path = {
            "/series/1.2": "/series/{SeriesInstanceUID}",
            "/series/1.2/preview": "/series/{SeriesInstanceUID}/preview",
            "/series/1.2/repair": "/series/{SeriesInstanceUID}/repair",
            "/gateways/north/token": "/gateways/{name}/token",
            "/tokens/none": "/tokens/{name}",
        }
        operation = paths[path.get(url, url)][method.lower()]
        assert operation["security"] == [{"token": [scope] if scope else []}]
        assert {"401", "403", "429"} <= operation["responses"].keys()
    assert "security" not in paths["/healthz"]["get"]


def test_access_of_a_route_is_what_its_declaration_says(client):
    found = {
        (method, route.path): access.scope
        for route in client.app.routes
        if isinstance(access := access_of(route), Access)
        for method in route.methods
    }
    assert found["POST", "/series"] is Scope.REGISTER
    assert found["DELETE", "/tokens/{name}"] is Scope.ADMIN


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/none", 404),
        ("DELETE", "/healthz", 405),
        ("POST", "/tokens", 422),
        ("GET", "/readyz", 500),
    ],
)
def test_every_answer_has_the_security_headers(open_client, method, url, status, monkeypatch):
    async def broken():
        raise RuntimeError(SECRET)

    monkeypatch.setattr(open_client.store, "check", broken)
    answer = open_client.request(method, url)
    assert answer.status_code == status
    for name, value in {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }.items():
        assert answer.headers[name] == value
    assert "strict-transport-security" not in answer.headers


def test_browser_that_came_by_tls_shall_come_by_nothing_else(open_client):
    answer = open_client.get("https://server/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
