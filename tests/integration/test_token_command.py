"""`seriesgate token`: on the database itself, and through the server that has it to itself."""

from __future__ import annotations

import json

import pytest
from tests.e2e.processes import Process, free_port, run, seriesgate_command
from typer.testing import CliRunner

from seriesgate.cli import app


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def token(*arguments, expect=0, **variables):
    done = CliRunner().invoke(app, ["token", *arguments], env=variables)
    assert done.exit_code == expect, done.output
    return done


def test_tokens_are_made_listed_and_revoked_without_a_server():
    assert token("list").output == "there is no token yet\n"
    made = token("create", "ward-3", "--scope", "register", "--scope", "read")
    assert made.stdout.startswith("seriesgate_")
    assert "not shown again" in made.stderr
    listed = token("list").output
    assert "ward-3" in listed
    assert "register, read" in listed
    assert made.stdout.strip() not in listed
    assert token("revoke", "ward-3").output == "ward-3 is revoked\n"
    (entry,) = json.loads(token("list", "--json").output)
    assert entry["revoked_at"]


def test_mistakes_are_one_line():
    token("create", "ward-3", "--scope", "read")
    for arguments, words in {
        ("create", "ward-3", "--scope", "read"): "the name is taken",
        ("create", "../x", "--scope", "read"): "name: ",
        ("revoke", "nobody"): "no token of this name",
    }.items():
        output = token(*arguments, expect=1).output
        assert words in output
        assert len(output.splitlines()) == 1
    assert token("create", "x", "--scope", "all", expect=2)


def test_tokens_on_postgresql(postgresql):
    url = postgresql.migrated_database()
    token("create", "ward-3", "--scope", "read", "--database-url", url)
    assert "ward-3" in token("list", "--database-url", url).output
    postgresql.give_back(url)


def test_running_server_is_asked_and_obeys_at_once(tmp_path):
    port = free_port()
    server = Process(*seriesgate_command(), "server", f"--port={port}", cwd=tmp_path)
    try:
        server.wait_for("listens")
        url = f"--server-url=http://127.0.0.1:{port}"
        admin = token("create", "admin", "--scope", "admin", url).stdout.strip()
        refused = token("create", "b", "--scope", "read", url, expect=1).output
        assert "401" in refused
        assert "SERIESGATE_TOKEN" in refused
        reader = token("create", "b", "--scope", "read", url, SERIESGATE_TOKEN=admin)
        reader = reader.stdout.strip()
        listing = (*seriesgate_command(), "series", "list", url)
        (line,) = run(*listing, cwd=tmp_path, env={"SERIESGATE_TOKEN": reader})
        assert line == "no series is registered yet"
        token("revoke", "b", url, SERIESGATE_TOKEN=admin)
        (line,) = run(*listing, cwd=tmp_path, env={"SERIESGATE_TOKEN": reader}, expect=1)
        assert "not known" in line
    finally:
        server.stop()


def test_server_that_others_can_reach_needs_a_token_to_start(tmp_path):
    start = (*seriesgate_command(), "server", "--host=0.0.0.0", f"--port={free_port()}")
    (line,) = run(*start, cwd=tmp_path, expect=1)
    assert "seriesgate token create" in line
    token("create", "ward-3", "--scope", "register")
    server = Process(*start, cwd=tmp_path)
    try:
        server.wait_for("listens")
    finally:
        server.stop()


def test_gateway_is_allowed_to_come_with_a_token_that_there_is():
    token("create", "ward-3", "--scope", "register")
    assert "no such token" in token("allow", "ward-4", "north", expect=1).output
    assert "no gateway of this name" in token("allow", "ward-3", "north", expect=1).output
