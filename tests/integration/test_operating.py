"""A gateway is operated while it runs; its server is the plain one of the original plan."""

from __future__ import annotations

import json
import socket
import sys

import httpx
import pytest
from tests.e2e.processes import PATIENCE
from tests.integration.plain_server import plain_server
from tests.integration.receiver import Peer
from tests.integration.running_gateway import running_gateway
from tests.unit.upper_layer import wire
from typer.testing import CliRunner

from seriesgate.cli import app


@pytest.fixture(scope="module")
def server():
    with plain_server() as server:
        yield server


@pytest.fixture(scope="module")
def running(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(folder / "state", server_url=server.url, quiet_period=0.05) as gateway:
        yield gateway


@pytest.fixture
def gateway(running, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no settings file of this folder
    monkeypatch.setenv("COLUMNS", "70")
    return running


def bury(gateway, server, series):
    """Have so many series of one instance refused: none can close twice, on a slow machine too."""
    before = gateway.log.count("is a dead letter")
    server.status = 422
    gateway.receive(f"{series}x1")
    gateway.log.wait_for("is a dead letter", before + series)
    server.status = 200


def status(gateway):
    return json.loads(gateway.command("status", "--json"))


def outbox(gateway):
    return json.loads(gateway.command("outbox", "list", "--json"))


def test_server_that_takes_five_fields_will_do(gateway, server):
    before = len(server.rows())
    delivered = gateway.log.count("series delivered")
    gateway.receive("2x1")
    gateway.log.wait_for("series delivered", delivered + 2)
    rows = server.rows()[before:]
    assert [row[4] for row in rows] == [1, 1]
    assert all(row[1] and row[2] for row in rows)


def test_dead_letter_is_delivered_once_it_is_retried(gateway, server):
    bury(gateway, server, 1)
    known = outbox(gateway)
    assert known["dead"] == 1
    (letter,) = known["deliveries"]
    assert "422" in letter["reason"]
    delivered = gateway.log.count("series delivered")
    gateway.command("outbox", "retry", letter["delivery_id"][:8])
    gateway.log.wait_for("series delivered", delivered + 1)
    assert (outbox(gateway)["dead"], outbox(gateway)["pending"]) == (0, 0)
    assert letter["series_instance_uid"] in {row[0] for row in server.rows()}


def test_dead_letters_are_given_up_with_their_files(gateway, server):
    bury(gateway, server, 2)
    discarded = status(gateway)["instances"]["discarded"]
    removed = gateway.log.count("delivered series are removed")
    gateway.command("outbox", "discard", "--all", "--yes")
    gateway.log.wait_for("delivered series are removed", removed + 1)
    instances = status(gateway)["instances"]
    assert (instances["dead"], instances["discarded"]) == (0, discarded + 2)
    assert instances["adds_up"]


def test_sum_names_every_acknowledged_instance(gateway, server):
    bury(gateway, server, 1)
    instances = status(gateway)["instances"]
    assert instances["adds_up"]
    assert instances["dead"] == 1
    assert instances["acknowledged"] == sum(
        instances[state] for state in ("delivered", "pending", "dead", "discarded")
    )
    gateway.command("outbox", "discard", "--all", "--yes")


def test_what_is_said_fits_the_width_and_names_no_patient(gateway, server):
    bury(gateway, server, 1)
    gateway.receive("1x1")
    url = f"http://127.0.0.1:{gateway.settings.admin_port}"
    pages = [
        httpx.get(f"{url}/{path}", trust_env=False).text for path in ("status", "metrics", "outbox")
    ]
    shown = [gateway.command("status"), gateway.command("outbox", "list")]
    assert all(len(line) <= 70 for text in shown for line in text.splitlines())
    assert "dead letters: seriesgate outbox list" in " ".join(shown[0].split())
    patients = {str(field) for row in server.rows() for field in row[1:3]}
    assert patients
    said = "\n".join([*pages, *shown, *gateway.log.lines])
    assert [patient for patient in patients if patient in said] == []
    gateway.command("outbox", "discard", "--all", "--yes")


def test_scanner_is_counted_and_logged_once(gateway):
    address = (gateway.settings.scp_host, gateway.settings.scp_port)
    for _ in range(20):
        with socket.create_connection(address) as scanner:
            scanner.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert scanner.recv(100)  # A-ABORT: by then it is counted
    refused = status(gateway)["associations"]["refused_peers"]
    (seen,) = [peer for peer in refused if peer["reason"] == "not_requested"]
    assert seen["times"] == 20
    assert seen["host"] == "127.0.0.1"
    assert gateway.log.count("^connection from 127.0.0.1: ") == 1


def test_readiness_metrics_and_spool_are_asked_while_it_runs(gateway):
    url = f"http://127.0.0.1:{gateway.settings.admin_port}"
    assert httpx.get(f"{url}/readyz", trust_env=False).json() == {"ready": True, "reasons": []}
    assert "seriesgate_gateway_ready 1.0" in httpx.get(f"{url}/metrics", trust_env=False).text
    state_dir = f"--state-dir={gateway.settings.state_dir}"
    done = CliRunner().invoke(app, ["spool", "verify", state_dir])
    assert done.exit_code == 0, done.output
    assert "a gateway runs: stop it" in done.output


def test_watching_goes_on_until_it_is_interrupted(gateway, monkeypatch):
    rounds = []

    def interrupt(_seconds):
        rounds.append(1)
        if len(rounds) == 3:
            raise KeyboardInterrupt

    # The package has the command of the same name in its place.
    monkeypatch.setattr(sys.modules["seriesgate.cli.status"], "sleep", interrupt)
    lines = gateway.command("status", "--watch", "--json").splitlines()
    assert len(lines) == 3
    assert all(json.loads(line)["ready"] for line in lines)
    rounds.clear()
    assert gateway.command("status", "--watch").count("instances ") >= 3


def test_host_beyond_its_share_is_named_by_status_and_metrics(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"server_url": server.url, "max_associations": 3, "store_timeout": 1.0}
    with running_gateway(tmp_path / "state", **settings) as gateway:
        port = gateway.settings.scp_port
        peers = [Peer(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(3)]
        for peer, answer in zip(peers, [0x02, 0x02, 0x03], strict=True):
            peer.send(wire.associate_rq(calling=b"HOG"))
            assert peer.receive()[0] == answer
        refused = status(gateway)["associations"]["refused"]
        assert refused["too_many_of_host"] == 1
        metrics = httpx.get(
            f"http://127.0.0.1:{gateway.settings.admin_port}/metrics", trust_env=False
        ).text
        name = "seriesgate_gateway_associations_refused_total"
        assert f'{name}{{reason="too_many_of_host"}} 1.0' in metrics
        assert peers[0].abort_reason() == (0, 0)  # nothing was stored for a second
        for peer in peers:
            peer.close()
        gateway.log.wait_for("aborted: nothing was stored for too long")
