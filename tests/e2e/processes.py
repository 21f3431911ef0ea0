"""Programs under test and their peers, as processes with real sockets."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PATIENCE = 30.0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child process whose output is read line by line as it comes."""

    def __init__(self, *command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._popen = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "COLUMNS": "200",
                # A test that wants pictures says so: each gateway would start a process for them.
                "SERIESGATE_GATEWAY__PREVIEWS": "false",
                **(env or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Return the match of the `count`-th line from now on that `pattern` is found in."""
        end = monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - monotonic()))
            except queue.Empty:
                raise AssertionError(self._complaint(f"{pattern!r} did not come")) from None
            if line is None:
                raise AssertionError(self._complaint(f"ended before {pattern!r} came"))
            self.output.append(line)
            match = re.search(pattern, line)
            if match:
                count -= 1
                if count == 0:
                    return match

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait(self) -> int:
        """Return the exit code; all output is in `output` then."""
        code = self._popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.output.append(line)
        return code

    def stop(self) -> None:
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._reader.join(PATIENCE)
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def _complaint(self, what: str) -> str:
        return f"{self._popen.args!r}: {what}; it said:\n" + "\n".join(self.output)


class Seriesgate:
    """`seriesgate up` in a folder of its own, on free ports."""

    def __init__(
        self, folder: Path, *options: str, quiet_period: float = 1.0, previews: bool = False
    ) -> None:
        self.folder = folder
        self.scp_port = free_port()
        self.server_port = free_port()
        self.admin_port = free_port()
        self.process = Process(
            *seriesgate_command(),
            "up",
            f"--scp-port={self.scp_port}",
            f"--server-port={self.server_port}",
            f"--admin-port={self.admin_port}",
            f"--quiet-period={quiet_period}",
            *options,
            cwd=folder,
            env={"SERIESGATE_GATEWAY__PREVIEWS": str(previews).lower()},
        )
        try:
            self.process.wait_for("Ctrl-C stops both")
        except AssertionError:
            self.process.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait_for_deliveries(self, count: int) -> None:
        self.process.wait_for("series delivered", count)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the table `series_data` by SeriesInstanceUID."""
        with closing(sqlite3.connect(self.folder / "series_data.db")) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM series_data").fetchall()
        return {row["SeriesInstanceUID"]: dict(row) for row in rows}

    def counts(self) -> dict[str, int]:
        return {uid: row["InstancesInSeries"] for uid, row in self.rows().items()}

    def wait_until_released(self) -> None:
        while self.spooled_files():
            self.process.wait_for("files of .* delivered series are removed")

    def spooled_files(self) -> list[Path]:
        # Unlike a glob, a walk does not mind a folder that goes meanwhile.
        walk = os.walk(self.folder / "seriesgate-state" / "spool")
        return [Path(folder, name) for folder, _, names in walk for name in names]


@contextmanager
def running_seriesgate(
    folder: Path, *options: str, quiet_period: float = 1.0, previews: bool = False
) -> Iterator[Any]:
    gate = Seriesgate(folder, *options, quiet_period=quiet_period, previews=previews)
    try:
        yield gate
    finally:
        gate.process.stop()


def seriesgate_command() -> list[str]:
    return [sys.executable, "-m", "seriesgate"]


def run(
    *command: str | Path, cwd: Path, expect: int | None = 0, env: dict[str, str] | None = None
) -> list[str]:
    """Run a program to its end and return its output."""
    process = Process(*command, cwd=cwd, env=env)
    try:
        code = process.wait()
    finally:
        process.stop()
    assert expect is None or code == expect, "\n".join([f"exit {code}", *process.output])
    return process.output


class Orthanc:
    """Orthanc as the PACS, which knows the modality STORESCP."""

    def __init__(self, folder: Path, scp_port: int) -> None:
        port = free_port()
        configuration = {
            "Name": "PACS",
            "StorageDirectory": str(folder / "orthanc"),
            "IndexDirectory": str(folder / "orthanc"),
            "HttpPort": port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomModalities": {"storescp": ["STORESCP", "127.0.0.1", scp_port]},
            "Plugins": [],
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(configuration))
        self.process = Process("Orthanc", path, cwd=folder)
        self.process.wait_for("Orthanc has started")
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False
        )

    def upload(self, files: Iterable[Path]) -> list[str]:
        """Upload files and return Orthanc's names for the instances."""
        return [
            self._client.post("/instances", content=path.read_bytes())
            .raise_for_status()
            .json()["ID"]
            for path in files
        ]

    def send(self, resources: list[str]) -> None:
        """C-STORE instances to STORESCP, on one association."""
        answer = self._client.post("/modalities/storescp/store", json=resources)
        answer.raise_for_status()
        assert answer.json()["FailedInstancesCount"] == 0

    def close(self) -> None:
        self._client.close()
        self.process.stop()


@contextmanager
def running_orthanc(folder: Path, scp_port: int) -> Iterator[Orthanc]:
    with ExitStack() as stack:
        orthanc = Orthanc(folder, scp_port)
        stack.callback(orthanc.close)
        yield orthanc
