"""The senders: DCMTK's storescu, alone or several at once, and Orthanc as the PACS."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

import httpx
from bench.peers import AE_TITLE
from bench.programs import BenchmarkError, Program, Site, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SEND_TIMEOUT = 600.0
_MODALITY = "receiver"


class Sender(Protocol):
    """Sends the instances that it was made for."""

    def send(self, host: str, port: int) -> float:
        """Send all to a receiver; return the seconds that took. Raises BenchmarkError."""


class Storescu:
    """One storescu at `site` for each group of `files`, all at once, each with an association.

    `no_delay` switches Nagle's algorithm off. The time is from the start of the programs to the end
    of the last. Logs go to `log_folder`.
    """

    def __init__(
        self, site: Site, files: Sequence[Sequence[Path]], log_folder: Path, *, no_delay: bool
    ) -> None:
        self._site = site
        self._files = files
        self._log_folder = log_folder
        self._environment = {"TCP_NODELAY": "1"} if no_delay else {}

    def send(self, host: str, port: int) -> float:
        """Send the files. Raises BenchmarkError when an instance was not taken."""
        receiver = ("--call", AE_TITLE, host, str(port))
        with ExitStack() as stack:
            began = time.perf_counter()
            programs = []
            for files in self._files:
                command: tuple[str | Path, ...] = ("storescu", *receiver, *files)
                program = Program(self._site, command, self._log_folder, self._environment)
                programs.append(stack.enter_context(running(program)))
            for program in programs:
                program.wait(_SEND_TIMEOUT)
            return time.perf_counter() - began


class OrthancPacs:
    """A running Orthanc that holds one series and sends it on one association."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._instances: list[str] = []

    def hold(self, files: Sequence[Path]) -> None:
        """Upload instances."""
        for path in files:
            answer = self._client.post("/instances", content=path.read_bytes())
            self._instances.append(answer.raise_for_status().json()["ID"])

    def send(self, host: str, port: int) -> float:
        """Send all. Raises BenchmarkError when an instance was not taken."""
        modality = {"AET": AE_TITLE, "Host": host, "Port": port}
        self._client.put(f"/modalities/{_MODALITY}", json=modality).raise_for_status()
        began = time.perf_counter()
        answer = self._client.post(f"/modalities/{_MODALITY}/store", json=self._instances)
        seconds = time.perf_counter() - began
        if answer.is_error or answer.json()["FailedInstancesCount"]:
            raise BenchmarkError(f"Orthanc could not send: {answer.text[:200]!r}")
        return seconds


@contextmanager
def running_pacs(folder: Path) -> Iterator[OrthancPacs]:
    """Run an Orthanc without a DICOM server of its own."""
    port = free_port()
    storage = folder / "pacs"
    storage.mkdir()
    configuration = {
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "DicomAet": "PACS",
        "Plugins": [],
    }
    path = folder / "pacs.json"
    path.write_text(json.dumps(configuration))
    with running(Program(Site(), ("Orthanc", path), folder)) as program:
        program.wait_until_listening(port)
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=_SEND_TIMEOUT, trust_env=False) as client:
            yield OrthancPacs(client)
