"""HEAD is answered wherever GET is, as GET but without the body (RFC 9110 9.3.2)."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.e2e.processes import PATIENCE
from tests.integration.app_client import AppClient
from tests.integration.running_server import running_server
from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.server.app import _ROUTERS

GATEWAY = "/gateways/ward-3"
_VALUES = {
    "SeriesInstanceUID": "1.2",
    "StudyInstanceUID": "1.3",
    "name": "ward-3",
    "path": "main.js",
}
_OF_THE_MOMENT = {"date"}


def paths() -> list[str]:
    """Give a path for each route that has GET."""
    routes = [route for router in _ROUTERS for route in router.routes]
    patterns = [
        route.path_format
        for route in routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    ]
    return [re.sub(r"{(\w+)}", lambda found: _VALUES[found[1]], each) for each in patterns]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(f"sqlite:///{tmp_path_factory.mktemp('server')}/a.db") as server:
        server.client.post("/series", json=FIVE_FIELDS).raise_for_status()
        yield server


def test_there_are_routes_to_try():
    assert len(paths()) > 15
    assert {"/series", "/events", "/metrics", "/", "/dicom-web/studies"} <= set(paths())


@pytest.mark.parametrize("path", [path for path in paths() if path != "/events"])
def test_head_is_answered_as_get_without_the_body(server, path):
    head, answer = (server.client.request(method, path) for method in ("HEAD", "GET"))
    assert head.status_code == answer.status_code != 405
    assert head.content == b""
    assert set(head.headers) - _OF_THE_MOMENT == set(answer.headers) - _OF_THE_MOMENT
    if path not in {"/metrics", "/stats"}:  # these tell of the moment, and of requests
        for name in set(answer.headers) - _OF_THE_MOMENT:
            assert head.headers[name] == answer.headers[name], name


def test_head_of_the_endless_stream_ends_and_lets_go_of_its_place(server):
    for _ in range(250):  # more than there may be streams
        answer = server.client.head("/events")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_connection_is_good_for_another_request_after_head(server):
    with httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE) as client:
        for _ in range(3):
            assert client.head("/series.csv").content == b""
            assert client.get("/series/1.2").json()["SeriesInstanceUID"] == "1.2"


def test_head_changes_nothing_and_is_counted_as_what_it_is():
    with AppClient() as client:
        client.register()
        assert client.request("HEAD", "/series/1.2").status_code == 200
        assert client.request("HEAD", "/gateways/x/heartbeat").status_code == 404
        counted = r'requests_total{method="HEAD",route="/series/{SeriesInstanceUID}",status="200"}'
        assert counted in client.get("/metrics").text
