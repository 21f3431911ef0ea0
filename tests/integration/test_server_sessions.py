"""Logging in at the server: a session is as good as its token, for a time, and no better."""

from __future__ import annotations

import pytest
from tests.integration.app_client import AppClient, assert_problem

from seriesgate.server.access.sessions import LIFETIME
from seriesgate.server.access.tokens import Grant, Scope, token_digest

TOKENS = {scope: f"token-of-{scope}" for scope in Scope}
GRANTS = [Grant(scope, token_digest(token), frozenset({scope})) for scope, token in TOKENS.items()]
OURS = {"X-Requested-With": "seriesgate"}


@pytest.fixture
def client():
    with AppClient(fixed=GRANTS) as client:
        yield client


def log_in(client, token, url="/session"):
    return client.request("POST", url, headers={"Authorization": f"Bearer {token}"})


def cookie_of(answer):
    """The attributes of the one cookie that an answer sets."""
    (header,) = answer.headers.get_list("set-cookie")
    return [part.strip() for part in header.split(";")]


def test_session_is_as_good_as_its_token_and_no_better(client):
    answer = log_in(client, TOKENS[Scope.READ])
    assert answer.status_code == 201
    assert answer.json()["name"] == "read"
    assert client.get("/series").status_code == 200
    assert client.get("/session").json() == {"name": "read", "scopes": ["read"], "expires_at": None}
    assert_problem(client.get("/tokens"), 403)
    assert_problem(client.request("POST", "/series", json={}, headers=OURS), 403)


def test_cookie_is_kept_from_scripts_and_other_sites(client):
    name, *attributes = cookie_of(log_in(client, TOKENS[Scope.READ]))
    assert name.startswith("seriesgate_session=")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"]
    assert LIFETIME.total_seconds() == 43200


def test_cookie_goes_by_tls_alone_where_there_is_tls(client):
    name, *attributes = cookie_of(log_in(client, TOKENS[Scope.READ], "https://server/session"))
    assert name.startswith("__Host-seriesgate_session=")
    assert "Secure" in attributes
    assert client.get("https://server/series").status_code == 200
    assert client.get("/series").status_code == 401


def test_session_ends_with_its_time(client):
    log_in(client, TOKENS[Scope.READ])
    begun = client.clock.now
    client._client.cookies.jar.clear_expired_cookies = lambda: None  # its Max-Age is for browsers
    client.clock.now = begun + LIFETIME
    assert_problem(client.get("/series"), 401)


def test_session_does_not_prolong_itself(client):
    log_in(client, TOKENS[Scope.READ])
    assert_problem(client.request("POST", "/session", headers=OURS), 401)


def test_logging_out_ends_the_session_wherever_its_cookie_is(client):
    log_in(client, TOKENS[Scope.READ])
    copied = dict(client._client.cookies)
    answer = client.request("DELETE", "/session", headers=OURS)
    assert answer.status_code == 204
    assert "Max-Age=0" in cookie_of(answer)
    assert dict(client._client.cookies) == {}
    header = "; ".join(f"{name}={value}" for name, value in copied.items())
    assert_problem(client.get("/series", headers={"Cookie": header}), 401)


def test_revoking_a_token_ends_its_sessions(client):
    admin = {"Authorization": f"Bearer {TOKENS[Scope.ADMIN]}"}
    body = {"name": "ward-3", "scopes": ["read"]}
    made = client.request("POST", "/tokens", json=body, headers=admin).json()
    log_in(client, made["token"])
    assert client.get("/series").status_code == 200
    client.request("DELETE", "/tokens/ward-3", headers=admin)
    assert_problem(client.get("/series"), 401)


@pytest.mark.parametrize("cookie", ["", "x", "a" * 3000, "é", "'; DROP TABLE sessions"])
def test_invented_session_is_none(client, cookie):
    headers = {"Cookie": f"seriesgate_session={cookie}".encode()}
    assert_problem(client.get("/series", headers=headers), 401)


def test_wrong_token_begins_nothing_and_guessing_is_slowed_down(client):
    answers = [log_in(client, f"guess-{number}") for number in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert not any("set-cookie" in answer.headers for answer in answers)


def test_page_of_another_site_changes_nothing(client):
    """A cookie goes along with requests that other pages make; our header does not."""
    log_in(client, TOKENS[Scope.ADMIN])
    body = {"name": "mine", "scopes": ["admin"]}
    assert_problem(client.request("POST", "/tokens", json=body), 403)
    crossed = OURS | {"Sec-Fetch-Site": "cross-site"}
    assert_problem(client.request("POST", "/tokens", json=body, headers=crossed), 403)
    own = OURS | {"Sec-Fetch-Site": "same-origin"}
    assert client.request("POST", "/tokens", json=body, headers=own).status_code == 201


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("none", 201)]
)
def test_open_server_takes_no_change_from_a_page_of_another_site(site, status):
    """It needs no token, so any page that a person at this machine opens could send one."""
    with AppClient() as client:
        body = {"name": "mine", "scopes": ["admin"]}
        headers = {"Sec-Fetch-Site": site}
        answer = client.request("POST", "/tokens", json=body, headers=headers)
        assert answer.status_code == status


def test_open_server_needs_no_session():
    with AppClient() as client:
        everything = {"name": None, "scopes": ["register", "read", "admin"], "expires_at": None}
        assert client.get("/session").json() == everything
        answer = client.request("POST", "/session")
        assert (answer.status_code, answer.json()) == (201, everything)
        assert "set-cookie" not in answer.headers


def test_session_is_kept_as_its_digest(client):
    log_in(client, TOKENS[Scope.READ])
    (secret,) = client._client.cookies.values()
    (session,) = client.sessions._sessions.values()
    assert session.digest == token_digest(secret)
    assert secret not in str(session)
