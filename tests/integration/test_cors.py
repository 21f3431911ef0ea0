"""Which web pages may search by QIDO-RS from a browser (WHATWG Fetch, 3.2)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.integration.app_client import AppClient

from seriesgate.settings.server import ServerSettings

VIEWER = "https://viewer.example.org"
PATH = "/dicom-web/series"
ALLOW = "access-control-allow-origin"
CREDENTIALS = "access-control-allow-credentials"
PREFLIGHT = {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization",
}


@pytest.fixture
def client():
    with AppClient(qido_origins=[VIEWER, "http://10.0.0.7:3000"]) as client:
        client.register()
        yield client


def of_cors(answer):
    return [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_page_of_a_listed_origin_may_read(client, method):
    answer = client.request(method, PATH, headers={"Origin": VIEWER})
    assert answer.status_code == 200
    assert (answer.headers[ALLOW], answer.headers[CREDENTIALS]) == (VIEWER, "true")
    assert answer.headers["vary"] == "Origin"
    assert "warning" in answer.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://viewer.example.org.evil.example",
        "http://viewer.example.org",
        "https://viewer.example.org:8443",
        "https://VIEWER.example.org",
        "https://viewer.example.org/",
        "null",
        "*",
        "",
    ],
)
def test_any_other_origin_is_not_named_and_caches_know_that_it_matters(client, origin):
    for method, more in (("GET", {}), ("OPTIONS", PREFLIGHT)):
        answer = client.request(method, PATH, headers={"Origin": origin, **more})
        assert of_cors(answer) == []
        assert answer.headers["vary"] == "Origin"


def test_preflight_is_answered_without_a_token(client):
    client.request("POST", "/tokens", json={"name": "a", "scopes": ["admin"]})
    answer = client.request("OPTIONS", PATH, headers={"Origin": VIEWER, **PREFLIGHT})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers[ALLOW] == VIEWER
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "POST" not in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["vary"].startswith("Origin")
    # What the search itself is answered can be read too, or a page never knows that it must log in.
    refused = client.get(PATH, headers={"Origin": VIEWER})
    assert (refused.status_code, refused.headers[ALLOW]) == (401, VIEWER)


@pytest.mark.parametrize("path", ["/series", "/tokens", "/session", "/dicom-website", "/"])
def test_nothing_but_qido_is_opened(client, path):
    for method, more in (("GET", {}), ("OPTIONS", PREFLIGHT)):
        answer = client.request(method, path, headers={"Origin": VIEWER, **more})
        assert of_cors(answer) == []


def test_options_that_is_no_preflight_is_refused_as_ever(client):
    assert client.request("OPTIONS", PATH, headers={"Origin": VIEWER}).status_code == 405


def test_any_origin_gets_no_credentials():
    with AppClient(qido_origins=["*"]) as client:
        client.register()
        for method, more in (("GET", {}), ("OPTIONS", PREFLIGHT)):
            answer = client.request(method, PATH, headers={"Origin": VIEWER, **more})
            assert answer.headers[ALLOW] == "*"
            assert CREDENTIALS not in answer.headers
        assert of_cors(client.get(PATH)) == []


def test_by_default_no_page_may_read():
    with AppClient() as client:
        client.register()
        answer = client.get(PATH, headers={"Origin": VIEWER})
        assert (of_cors(answer), "vary" in answer.headers) == ([], False)
        preflight = client.request("OPTIONS", PATH, headers={"Origin": VIEWER, **PREFLIGHT})
        assert (preflight.status_code, of_cors(preflight)) == (405, [])


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://Viewer.Example.org", VIEWER),
        ("https://viewer.example.org:443", VIEWER),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("*", "*"),
    ],
)
def test_origins_are_kept_as_a_browser_sends_them(given, taken):
    assert ServerSettings(qido_origins=(given,)).qido_origins == (taken,)


@pytest.mark.parametrize(
    "given",
    [
        "viewer.example.org",
        "https://viewer.example.org/",
        "https://*.example.org",
        "null",
        "ftp://x",
        "https://a b",
        "https://x:99999999",
        "https://",
        "",
        "https://x\r\ny: z",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(given):
    with pytest.raises(ValidationError, match="must be like https://viewer"):
        ServerSettings(qido_origins=(given,))


def test_any_origin_stands_alone():
    with pytest.raises(ValidationError, match="stands alone"):
        ServerSettings(qido_origins=("*", VIEWER))
