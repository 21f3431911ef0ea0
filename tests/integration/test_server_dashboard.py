"""How the files of the dashboard are served."""

from __future__ import annotations

import re

import pytest
from tests.integration.app_client import AppClient, assert_problem

from seriesgate.server.http.static_files import dashboard_files


@pytest.fixture
def client():
    """Of a server that asks everyone for a token."""
    with AppClient(always=True) as client:
        yield client


def test_page_runs_nothing_but_our_own_files(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|<script(?![^>]*src=)| on\w+=|https?://", answer.text)


def test_files_that_the_page_and_the_modules_name_are_there(client):
    names = set(re.findall(r'(?:href|src)="/dashboard/([^"]+)"', client.get("/").text))
    assert len(names) > 3
    for path, file in dashboard_files().items():
        if path.endswith(".js"):
            text = file.content.decode()
            assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(", text)
            for target in re.findall(r'^import .* from "([^"]+)";$', text, re.MULTILINE):
                assert target.startswith("/dashboard/")
                names.add(target.removeprefix("/dashboard/"))
    assert {name for name in names if client.get(f"/dashboard/{name}").status_code != 200} == set()


def test_file_is_sent_once_and_asked_about_each_time(client):
    first = client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/", headers={"If-None-Match": '"old"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["", "none.js", "../app.py", "%2e%2e/app.py", "/etc/passwd", "%00"]
)
def test_there_are_no_other_files(client, path):
    assert_problem(client.get(f"/dashboard/{path}"), 404)
