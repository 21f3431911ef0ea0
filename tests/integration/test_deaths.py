"""A gateway that dies of what a series holds starts again, and in the end does without it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE, encode, mr_instance
from tests.e2e.processes import PATIENCE, free_port
from tests.integration.deadly_gateway import POISON
from tests.integration.running_server import running_server
from typer.testing import CliRunner

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.cli import app
from seriesgate.gateway.ports import StoreRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.running_server import RunningServer

CULPRIT, INNOCENT = "1.666", "1.2"


def spool(folder: Path, series: str, patient: str) -> None:
    """Put an instance into the spool, as an earlier run has left it."""
    scanner_for = HeaderScanners()
    held = FileSpool(folder, Durability.PROCESS, scanner_for)
    data_set = encode(mr_instance(f"{series}.1", series, patient_id=patient, patient_name=patient))
    file = held.create(StoreRequest("MR", EXPLICIT_LE, MR_IMAGE_STORAGE, f"{series}.1"))
    file.write(data_set)
    scanner = scanner_for(EXPLICIT_LE)
    file.keep(scanner.feed(data_set) or scanner.finish())
    held.close()


class Gateway:
    """A gateway that a certain step kills, run again and again on one state folder."""

    def __init__(self, folder: Path, server: RunningServer, step: str) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self._server = server
        self._log = folder / "log"
        self._admin_port = str(free_port())
        self._command = (
            *(sys.executable, "-m", "tests.integration.deadly_gateway", step, str(self.state)),
            *(str(free_port()), self._admin_port, server.url),
        )

    def registered(self) -> dict[str, str]:
        """Return the names of patients by series."""
        rows = self._server.client.get("/series").json()["series"]
        return {row["SeriesInstanceUID"]: row["PatientName"] for row in rows}

    def deaths_until(self, series: set[str], reached: Callable[[], bool]) -> int:
        """Start it until it lives and has registered these series; return how often it died."""
        for deaths in range(6):
            with self._log.open("ab") as log:
                self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
            end = monotonic() + PATIENCE
            while self.process.poll() is None:
                if self.registered().keys() >= series and reached():
                    return deaths
                assert monotonic() < end, self._log.read_text()
                sleep(0.05)
            assert self.process.returncode == -signal.SIGKILL, self._log.read_text()
        raise AssertionError("it dies for ever")

    def aside(self) -> list[dict[str, Any]]:
        options = (f"--state-dir={self.state}", f"--admin-port={self._admin_port}", "--json")
        done = CliRunner().invoke(app, ["aside", "list", *options])
        return list(json.loads(done.stdout)["units"]) if done.exit_code == 0 else []

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(PATIENCE) == 0, self._log.read_text()


@pytest.fixture
def gateway(request, tmp_path):
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        gateway = Gateway(tmp_path, server, request.param)
        for series, patient in ((CULPRIT, POISON), (INNOCENT, "Doe")):
            spool(gateway.state, series, patient)
        yield gateway
        gateway.stop()


@pytest.mark.parametrize("gateway", ["describe"], indirect=True)
def test_series_of_which_it_dies_is_registered_without_what_kills(gateway):
    assert gateway.deaths_until({CULPRIT, INNOCENT}, lambda: True) == 2
    assert gateway.registered() == {CULPRIT: "", INNOCENT: "Doe"}
    assert gateway.aside() == []


@pytest.mark.parametrize("gateway", ["revise"], indirect=True)
def test_series_of_which_it_dies_all_the_same_is_put_aside(gateway):
    assert gateway.deaths_until({INNOCENT}, lambda: bool(gateway.aside())) == 3
    assert gateway.registered() == {INNOCENT: "Doe"}
    (unit,) = gateway.aside()
    assert (unit["task"], unit["reason"]) == ("closing of a series", "earlier runs have died of it")
    gateway.stop()
    assert [each["unit_id"] for each in gateway.aside()] == [unit["unit_id"]]


@pytest.mark.parametrize("gateway", ["read"], indirect=True)
def test_file_of_which_it_dies_at_the_start_goes_to_the_quarantine(gateway):
    assert gateway.deaths_until({INNOCENT}, lambda: True) == 2
    assert gateway.registered() == {INNOCENT: "Doe"}
    assert len(list((gateway.state / "quarantine").iterdir())) == 1
