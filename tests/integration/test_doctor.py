"""`seriesgate doctor` on real gateways and servers, and on what is wrong with them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme
from tests.e2e.processes import free_port
from tests.integration.plain_server import plain_server
from tests.integration.running_gateway import running_gateway
from tests.integration.running_server import running_server
from typer.testing import CliRunner

from seriesgate.adapters.state_folder import StateFolder
from seriesgate.cli import app
from seriesgate.listener import bind_listener
from seriesgate.wiring.doctor import server as server_checks

TOKEN, READER = "a-token-that-registers", "a-token-that-reads"
ADMIN_TOKEN = "a-token-of-the-administration"
TOKENS = (
    {"name": "gateway", "token": TOKEN, "scopes": ["register"]},
    {"name": "reader", "token": READER, "scopes": ["read"]},
)


class Doctor:
    """The command with a settings file: on free ports and an empty folder, if not told others."""

    def __init__(self, folder, **gateway):
        self.folder = folder
        self.server_port = free_port()
        self.settings = {
            "scp_port": free_port(),
            "admin_port": free_port(),
            "state_dir": folder / "state",
            "server_url": f"http://127.0.0.1:{self.server_port}",
            **gateway,
        }

    def text(self, *arguments, expect):
        file = self.folder / "seriesgate.toml"
        lines = [f"{key} = {_toml(value)}" for key, value in self.settings.items()]
        file.write_text(
            "\n".join(["[gateway]", *lines, "[server]", f"port = {self.server_port}", ""])
        )
        done = CliRunner().invoke(app, ["doctor", f"--config={file}", *arguments])
        assert done.exit_code == expect, done.output
        return done.output

    def findings(self, expect):
        """Return verdict and text of each check; the worst one where there are several."""
        answer = json.loads(self.text("--json", expect=expect))
        order = ["skipped", "ok", "warning", "problem"]
        found: dict[str, tuple[str, str]] = {}
        for each in answer["findings"]:
            before = found.get(each["check"], ("skipped", ""))
            if order.index(each["verdict"]) >= order.index(before[0]):
                found[each["check"]] = (each["verdict"], each["text"])
        return found

    def senders(self):
        return json.loads(self.text("--json", expect=3))["senders"]["senders"]


def _toml(value):
    return json.dumps(value if isinstance(value, bool | int | float | list) else str(value))


def of(gateway, **more):
    """Return the settings of a gateway that runs, for the command."""
    settings = gateway.settings
    return {
        "scp_port": settings.scp_port,
        "admin_port": settings.admin_port,
        "state_dir": settings.state_dir,
        "quiet_period": settings.quiet_period,
        "server_url": str(settings.server_url),
        **more,
    }


@pytest.fixture(autouse=True)
def _width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with running_server(f"sqlite:///{folder}/series.db", tokens=TOKENS) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(
        folder / "state",
        server_url=server.url,
        server_token=TOKEN,
        admin_token=ADMIN_TOKEN,
        quiet_period=0.05,
    ) as gateway:
        gateway.receive("2x3")
        gateway.log.wait_for("series delivered", 2)
        yield gateway


@pytest.fixture
def doctor(gateway, server, tmp_path):
    """Return the command with the settings of the gateway that runs."""
    made = Doctor(tmp_path, **of(gateway, server_token=TOKEN, admin_token=ADMIN_TOKEN))
    made.server_port = int(server.url.rpartition(":")[2])
    return made


def test_all_is_well(doctor):
    found = doctor.findings(expect=0)
    assert {check: text for check, (verdict, text) in found.items() if verdict != "ok"} == {}
    assert set(found) == {
        *("settings", "gateway", "scp port", "scp echo", "admin port", "server port"),
        *("server", "server token", "state folder", "disk room", "disk speed", "journal"),
        *("outbox", "put aside", "clock", "open files", "sqlite", "senders", "quiet period"),
    }
    assert "the gateway holds it" in found["state folder"][1]
    assert "the gateway has it" in found["scp port"][1]
    assert "the server has it" in found["server port"][1]


def test_what_is_said_fits_the_width_and_has_no_token_and_no_patient(doctor, server):
    shown = doctor.text(expect=0)
    assert all(len(line) <= 70 for line in shown.splitlines())
    assert "SERIESGATE" in shown
    assert "6 " in shown
    said = shown + doctor.text("--json", expect=0)
    rows = server.client.get("/series", headers={"Authorization": f"Bearer {READER}"}).json()
    patients = {row[key] for row in rows["series"] for key in ("PatientName", "PatientID")}
    assert len(patients) > 1
    for secret in (TOKEN, ADMIN_TOKEN, *patients):
        assert secret not in said


def test_wrong_token_is_a_problem_and_is_not_shown(doctor):
    doctor.settings["server_token"] = "no-such-token-anywhere"
    found = doctor.findings(expect=3)
    assert found["server token"][0] == "problem"
    assert found["server"][0] == "ok"
    assert "no-such-token" not in doctor.text(expect=3)


def test_token_without_the_scope_is_a_problem(doctor):
    doctor.settings["server_token"] = READER
    verdict, text = doctor.findings(expect=3)["server token"]
    assert (verdict, "allows read, and not `register`" in text) == ("problem", True)


def test_wrong_token_of_the_administration_is_a_problem_and_nothing_is_concluded(doctor):
    doctor.settings["admin_token"] = "another-token-of-another-one"
    found = doctor.findings(expect=3)
    assert (found["gateway"][0], "401" in found["gateway"][1]) == ("problem", True)
    for check in ("scp port", "admin port", "scp echo", "journal", "outbox", "senders"):
        assert found[check][0] == "skipped", check


def test_gateway_with_other_settings_than_the_files_is_noticed(doctor, tmp_path):
    doctor.settings |= {"scp_port": free_port(), "quiet_period": 2.0, "state_dir": tmp_path / "o"}
    (tmp_path / "o").mkdir()
    found = doctor.findings(expect=3)
    assert (found["scp port"][0], "nothing listens" in found["scp port"][1]) == ("problem", True)
    assert (found["scp echo"][0], "connection refused" in found["scp echo"][1]) == ("problem", True)
    assert (found["settings"][0], "quiet_period" in found["settings"][1]) == ("warning", True)
    assert found["state folder"][0] == "warning"


def test_scp_that_refuses_is_a_problem(tmp_path, server):
    with running_gateway(
        tmp_path / "other", server_url=server.url, allowed_calling_ae_titles=["MR1", "CT1"]
    ) as other:
        allowed = Doctor(tmp_path, **of(other, allowed_calling_ae_titles=["MR1", "CT1"]))
        assert "answers MR1" in allowed.findings(expect=3)["scp echo"][1]
        refused = Doctor(tmp_path, **of(other)).findings(expect=3)["scp echo"]
        assert (refused[0], "see the log" in refused[1]) == ("problem", True)
        far = Doctor(tmp_path, **of(other, allowed_networks=["192.0.2.0/24"]))
        assert far.findings(expect=3)["scp echo"][0] == "skipped"


def test_nothing_was_started_yet(tmp_path):
    found = Doctor(tmp_path).findings(expect=3)
    assert (found["gateway"][0], "there is no journal yet" in found["gateway"][1]) == (
        "warning",
        True,
    )
    assert found["server"][0] == "problem"
    for check in ("scp port", "admin port", "server port", "state folder", "clock", "sqlite"):
        assert found[check][0] == "ok", check
    for check in ("scp echo", "journal", "outbox", "senders", "quiet period", "server token"):
        assert found[check][0] == "skipped", check
    assert not (tmp_path / "state").exists()


def test_gateway_that_was_stopped_has_left_its_senders_and_dead_letters(tmp_path):
    with plain_server() as plain:
        plain.status = 422
        with running_gateway(
            tmp_path / "state", server_url=plain.url, quiet_period=0.05
        ) as gateway:
            gateway.receive("1x4")
            gateway.log.wait_for("is a dead letter")
        doctor = Doctor(tmp_path, **of(gateway))
        found = doctor.findings(expect=3)
        assert (found["outbox"][0], "refused: 1;" in found["outbox"][1]) == ("problem", True)
        assert found["journal"][0] == "ok"
        (sender,) = doctor.senders()
        assert (sender["calling_ae_title"], sender["host"]) == ("SERIESGATE", "127.0.0.1")
        assert (sender["instances"], sender["series"]["closed"]) == (4, 1)
        # The next run goes on from there.
        with running_gateway(
            tmp_path / "state", server_url=plain.url, quiet_period=0.05
        ) as gateway:
            gateway.receive("1x4")
            gateway.log.wait_for("is a dead letter")
        assert doctor.senders()[0]["instances"] == 8


def test_ports_of_others_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(server_checks, "_TIMEOUT", 0.2)  # they never answer
    doctor = Doctor(tmp_path)
    with contextlib.ExitStack() as stack:
        for port in (doctor.settings["scp_port"], doctor.server_port):
            stack.enter_context(bind_listener("127.0.0.1", port))
        found = doctor.findings(expect=3)
    assert (found["scp port"][0], "gateway.scp_port" in found["scp port"][1]) == ("problem", True)
    assert (found["server port"][0], "server.port" in found["server port"][1]) == ("warning", True)


def test_address_of_another_machine_cannot_be_listened_on(tmp_path):
    doctor = Doctor(tmp_path, scp_host="192.0.2.1", allow_any_ae=True)
    verdict, text = doctor.findings(expect=3)["scp port"]
    assert (verdict, "gateway.scp_host" in text) == ("problem", True)


class Redirecting(BaseHTTPRequestHandler):
    """Answers everything with a redirect."""

    def do_GET(self):
        self.send_response(308)
        self.send_header("Location", "https://elsewhere.example/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def redirecting():
    http = HTTPServer(("127.0.0.1", 0), Redirecting)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield http.server_port
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def test_program_that_has_the_port_of_the_administration_is_no_gateway(tmp_path):
    with redirecting() as port:
        found = Doctor(tmp_path, admin_port=port).findings(expect=3)
    assert (found["gateway"][0], "not one of seriesgate" in found["gateway"][1]) == (
        "problem",
        True,
    )


def test_server_of_ones_own_will_do_and_its_token_is_not_judged(tmp_path):
    with plain_server() as plain:
        found = Doctor(tmp_path, server_url=plain.url, server_token=TOKEN).findings(expect=0)
    assert (found["server"][0], found["server token"][0]) == ("warning", "skipped")


def test_server_that_leads_elsewhere_is_a_problem_and_its_password_is_not_shown(tmp_path):
    with redirecting() as port:
        url = f"http://user:a-password@127.0.0.1:{port}/"
        doctor = Doctor(tmp_path, server_url=url)
        assert "308" in doctor.findings(expect=3)["server"][1]
        assert "a-password" not in doctor.text(expect=3)


def test_something_that_speaks_no_http_is_no_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        found = Doctor(tmp_path, server_url=url).findings(expect=3)
        thread.join()
    assert (found["server"][0], "HTTP" in found["server"][1]) == ("problem", True)


class Certificate:
    """A certificate for this machine, valid for so many days, and its authority, in files."""

    def __init__(self, folder, days):
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days))
        self.authority = folder / f"authority{days}.pem"
        self.certificate = folder / f"certificate{days}.pem"
        self.private_key = folder / f"key{days}.pem"
        authority.cert_pem.write_to_path(self.authority)
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.private_key)

    @property
    def settings(self):
        return {"tls_certificate": self.certificate, "tls_private_key": self.private_key}


@pytest.mark.parametrize(("days", "verdict"), [(100, "ok"), (5, "warning"), (-1, "problem")])
def test_certificate_of_the_server_is_to_be_renewed_in_time(days, verdict, tmp_path):
    made = Certificate(tmp_path, days)
    # The client of the helper trusts nobody: it is not used.
    with running_server(f"sqlite:///{tmp_path}/series.db", **made.settings) as server:
        doctor = Doctor(tmp_path, server_url=server.url, server_ca=made.authority)
        found = doctor.findings(expect=3 if days < 0 else 0)
        assert found["server certificate"][0] == verdict
        stranger = Doctor(tmp_path, server_url=server.url).findings(expect=3)
        assert stranger["server certificate"][0] == "problem"
        assert "not trusted" in stranger["server"][1]
        plain = Doctor(tmp_path, server_url=server.url.replace("https", "http"))
        assert plain.findings(expect=3)["server"][0] == "problem"


@pytest.mark.parametrize(
    ("days", "echo", "verdict"),
    [(100, "ok", "ok"), (5, "ok", "warning"), (-1, "problem", "problem")],
)
def test_storage_scp_with_tls_is_called_and_its_certificate_looked_at(
    days, echo, verdict, tmp_path
):
    made = Certificate(tmp_path, days)
    with running_gateway(tmp_path / "state", **made.settings) as gateway:
        found = Doctor(tmp_path, **of(gateway, **made.settings)).findings(expect=3)
        assert (found["scp echo"][0], found["scp certificate"][0]) == (echo, verdict)
    with running_gateway(
        tmp_path / "state", **made.settings, tls_client_ca=made.authority
    ) as gateway:
        asking = of(gateway, **made.settings, tls_client_ca=made.authority)
        found = Doctor(tmp_path, **asking).findings(expect=3)
        assert (found["scp echo"][0], found["scp certificate"][0]) == ("skipped", "skipped")


def test_certificate_that_cannot_be_read_is_a_problem_of_the_settings(tmp_path):
    missing = {"tls_certificate": tmp_path / "none.pem", "tls_private_key": tmp_path / "none.key"}
    verdict, text = Doctor(tmp_path, **missing).findings(expect=3)["settings"]
    assert (verdict, "none.pem" in text) == ("problem", True)
    authority = Doctor(tmp_path, server_ca=tmp_path / "none.pem").findings(expect=3)["server"]
    assert (authority[0], "none.pem" in authority[1]) == ("problem", True)


def test_wrong_settings_are_named_before_anything_is_checked(tmp_path):
    output = Doctor(tmp_path, quiet_period=-1.0).text(expect=2)
    assert "gateway.quiet_period" in output


def test_gateway_on_another_port_holds_the_state_folder(tmp_path):
    with contextlib.closing(StateFolder(tmp_path / "state")):
        found = Doctor(tmp_path).findings(expect=3)
    assert (found["state folder"][0], "--admin-port" in found["state folder"][1]) == (
        "problem",
        True,
    )


def test_damaged_journal_is_a_problem_and_left_alone(tmp_path):
    (tmp_path / "state").mkdir()
    journal = tmp_path / "state" / "journal.db"
    journal.write_bytes(b"no database at all" * 100)
    found = Doctor(tmp_path).findings(expect=3)
    assert (found["journal"][0], "cannot be used" in found["journal"][1]) == ("problem", True)
    assert journal.read_bytes() == b"no database at all" * 100
