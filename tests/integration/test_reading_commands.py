"""`seriesgate series list` and `seriesgate webhooks`, against a running server."""

from __future__ import annotations

import json

import pytest
from tests.e2e.processes import free_port
from tests.integration.running_server import running_server
from tests.integration.webhook_receiver import webhook_receiver
from typer.testing import CliRunner

from seriesgate.cli import app

SECRET = "a secret of at least 24 bytes"


@pytest.fixture(scope="module")
def receiver():
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(tmp_path_factory, receiver):
    url = f"sqlite:///{tmp_path_factory.mktemp('server')}/series_data.db"
    hook = {"name": "ris", "url": receiver.url, "secret": SECRET}
    with running_server(url, webhooks=[hook]) as server:
        for number in range(5):
            server.register(
                SeriesInstanceUID=f"1.{number}",
                PatientID=f"P{number % 2}",
                Modality="MR" if number else "CT",
                Gateway="ward-3",
            )
        yield server


@pytest.fixture
def call(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments, expect=0):
        done = CliRunner().invoke(app, [*arguments, f"--server-url={server.url}"])
        assert done.exit_code == expect, done.output
        return done.output

    return call


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "43210"),
        (("--limit", "2"), "43"),
        (("--modality", "CT"), "0"),
        (("--patient-id", "P1", "--oldest-first"), "13"),
        (("--study", "1.3", "--gateway", "ward-3", "--limit", "1"), "4"),
        (("--accession-number", "none"), ""),
        (("--text", "JANE", "--since", "2020-01-01", "--before", "2999-12-31T00:00:00Z"), "43210"),
        (("--before", "2020-01-01"), ""),
    ],
)
def test_series_are_filtered(call, options, expected):
    rows = json.loads(call("series", "list", "--json", *options))
    assert [row["SeriesInstanceUID"] for row in rows] == [f"1.{digit}" for digit in expected]


def test_every_page_is_followed(call, monkeypatch):
    monkeypatch.setattr("seriesgate.cli.series._PAGE", 2)
    assert len(json.loads(call("series", "list", "--all", "--json"))) == 5
    assert len(json.loads(call("series", "list", "--limit", "3", "--json"))) == 3


def test_series_in_a_table(call):
    lines = call("series", "list", "--modality", "CT").splitlines()
    assert len(lines) == 2
    assert "Doe^Jane" in lines[1]


def test_nothing_found_is_no_empty_server(call):
    assert call("series", "list", "--modality", "XA") == "no series match\n"


def test_mistakes_are_one_line(call):
    for options, words, code in (
        (("--since", "yesterday"), "--since must be like", 2),
        (("--text", "x" * 65), "text: ", 1),
    ):
        output = call("series", "list", *options, expect=code)
        assert words in output
        assert len(output.splitlines()) == 1


def test_webhooks(call, receiver):
    # The changes of different series come in any order.
    awaited = {f"change-{number}" for number in range(1, 6)}
    while awaited:
        awaited.discard(receiver.next()[0]["webhook-id"])
    assert call("webhooks", "test", "ris") == "ris got the test\n"
    assert b'"test"' in receiver.next()[1]
    receiver.answer(500)
    failed = call("webhooks", "test", "ris", expect=1)
    assert "did not get the test: the receiver answered 500" in failed
    listed = call("webhooks", "list")
    assert receiver.url.removesuffix("/hook?secret=path") in listed
    assert "secret" not in listed
    (webhook,) = json.loads(call("webhooks", "list", "--json"))
    assert (webhook["name"], webhook["dead"]) == ("ris", 0)


def test_dead_letters_are_shown_and_retried(call, server, receiver):
    receiver.answer(410)
    server.register(SeriesInstanceUID="1.9", PatientID="P9")
    while receiver.next()[0]["webhook-id"] != "change-6":
        pass
    found = (json.loads(call("webhooks", "dead", "ris", "--json")) for _ in range(5000))
    (letter,) = next(filter(None, found))
    assert letter["reason"] == "the receiver answered 410 Gone"
    assert "1.9" in call("webhooks", "dead", "ris")
    assert call("webhooks", "retry", "ris") == "1 changes are due again\n"
    assert receiver.next()[0]["webhook-id"] == "change-6"


def test_unknown_webhook(call):
    assert "no webhook of this name" in call("webhooks", "test", "none", expect=1)


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = f"--server-url=http://127.0.0.1:{free_port()}"
    done = CliRunner().invoke(app, ["webhooks", "list", url])
    assert (done.exit_code, len(done.output.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, ["updated", "patient", "ID", "mod.", "description", "inst.", "rev.", "series"]),
        (80, ["updated", "patient", "ID", "mod.", "description", "inst.", "rev."]),
        (72, ["updated", "patient", "ID", "mod.", "description", "inst."]),
        (60, ["updated", "patient", "ID", "mod.", "inst."]),
        (40, ["patient", "ID", "inst."]),
        (10, ["patient", "ID", "inst."]),
    ],
)
def test_narrow_terminal_has_fewer_columns(server, call, monkeypatch, width, columns):
    # The last of these tests: the others count what there is.
    uid = "1.2.826.0.1.3680043.8.498.10000000000000000000000000000000000001"
    server.register(SeriesInstanceUID=uid, PatientName="Doe^" + "J" * 60)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call("series", "list", "--limit", "1").splitlines()
    assert all(len(line) <= width for line in lines)
    if width >= 40:
        assert lines[0].split() == columns
    assert (uid in lines[1]) == ("series" in columns)


def test_series_is_repaired_by_command(server, call):
    for instances in (5, 2**31 - 1):
        server.register(SeriesInstanceUID="9.9", InstancesInSeries=instances)
    assert call("series", "repair", "9.9") == "the series has 5 instances now\n"
    assert "no other report" in call("series", "repair", "9.9", expect=1)
    assert "no series with this SeriesInstanceUID" in call("series", "repair", "9.8", expect=1)
    server.register(SeriesInstanceUID="9.9", InstancesInSeries=2**31 - 1)
    assert server.client.get("/series/9.9").json()["InstancesInSeries"] == 5
    assert call("series", "repair", "9.9", "--at-most", "7") == "the series has 5 instances now\n"
