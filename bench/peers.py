"""The receivers that are compared: how each is started, and how what it stored is counted."""

from __future__ import annotations

import json
import sqlite3
import sys
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.gate import registered, running_gate
from bench.programs import Program, Site, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

AE_TITLE = "STORESCP"
_PROJECT = Path(__file__).parents[1]
# Of Orthanc's database: the file type of a DICOM instance.
_DICOM_FILE = 1


@dataclass(frozen=True)
class Job:
    """What a receiver is started for. `no_delay`: TCP_NODELAY=1 is in its environment."""

    site: Site
    folder: Path
    associations: int
    no_delay: bool


@dataclass(frozen=True)
class Listening:
    """A receiver that listens; `program` is the process that is measured."""

    program: Program
    port: int


class Receiver(Protocol):
    """A kind of receiver.

    `stalls`: with a sender that leaves Nagle's algorithm on it may take 40 to 90 ms for each
    instance, so it gets fewer of them.
    """

    @property
    def name(self) -> str:
        """What the tables call it."""

    @property
    def stalls(self) -> bool:
        """See above."""

    def listening(self, job: Job) -> AbstractContextManager[Listening]:
        """Run the receiver with an empty storage in `job.folder`."""

    def stored(self, folder: Path) -> int:
        """Return how many instances it had stored when it was stopped."""


@dataclass(frozen=True)
class _OneProgram(ABC):
    """A receiver that is one program. `never_delays`: TCP_NODELAY=1 whatever the job says."""

    name: str
    stalls: bool
    never_delays: bool = False

    @contextmanager
    def listening(self, job: Job) -> Iterator[Listening]:
        port = free_port()
        storage = job.folder / "storage"
        storage.mkdir()
        environment = {"PYTHONPATH": str(_PROJECT)}
        if job.no_delay or self.never_delays:
            environment["TCP_NODELAY"] = "1"
        program = Program(job.site, self._command(job, port, storage), job.folder, environment)
        with running(program):
            program.wait_until_listening(port)
            yield Listening(program, port)

    def stored(self, folder: Path) -> int:
        return len(list((folder / "storage").iterdir()))

    @abstractmethod
    def _command(self, job: Job, port: int, storage: Path) -> list[str | Path]:
        """Return the command that starts it."""


@dataclass(frozen=True)
class Storescp(_OneProgram):
    """DCMTK's storescp with `options`, forking when it gets several associations."""

    options: tuple[str, ...] = ()

    def _command(self, job: Job, port: int, storage: Path) -> list[str | Path]:
        # Without --disable-host-lookup the name server would be measured.
        options = ["--disable-host-lookup", *self.options]
        if job.associations > 1:
            options.append("--fork")
        return ["storescp", *options, "--output-directory", storage, str(port)]


class Orthanc(_OneProgram):
    """Orthanc as configured by default, with a thread for each association."""

    def stored(self, folder: Path) -> int:
        """Return how many instances its database has."""
        with closing(sqlite3.connect(folder / "storage" / "index")) as connection:
            count = "SELECT count(*) FROM AttachedFiles WHERE fileType = ?"
            return int(connection.execute(count, (_DICOM_FILE,)).fetchone()[0])

    def _command(self, job: Job, port: int, storage: Path) -> list[str | Path]:
        configuration = {
            "StorageDirectory": str(storage),
            "IndexDirectory": str(storage),
            "HttpServerEnabled": False,
            "DicomAet": AE_TITLE,
            "DicomPort": port,
            "DicomThreadsCount": 8,
            "Plugins": [],
        }
        path = job.folder / "orthanc.json"
        path.write_text(json.dumps(configuration))
        return ["Orthanc", path]


@dataclass(frozen=True)
class PythonReceiver(_OneProgram):
    """A module that is started with HOST PORT FOLDER, and makes a file of each instance."""

    module: str = field(kw_only=True)
    options: tuple[str, ...] = ()

    def _command(self, job: Job, port: int, storage: Path) -> list[str | Path]:
        where: list[str | Path] = [job.site.host, str(port), storage]
        return [sys.executable, "-m", self.module, *where, *self.options]


@dataclass(frozen=True)
class Seriesgate:
    """The gateway, which collects what comes and reports it to a real server beside it."""

    name: str
    durability: str
    stalls: bool = False

    @contextmanager
    def listening(self, job: Job) -> Iterator[Listening]:
        """Run gateway and server; at the end, wait until every series is registered."""
        with running_gate(job.folder, site=job.site, durability=self.durability) as gate:
            yield Listening(gate.gateway, gate.scp_port)
            gate.wait_until_delivered()

    def stored(self, folder: Path) -> int:
        """Return how many instances the server's rows count."""
        return sum(registered(folder).values())


POWER = Seriesgate("seriesgate", "power")
PROCESS = Seriesgate("seriesgate, process", "process")
FLOOR = PythonReceiver("floor", stalls=False, module="bench.floor")
DURABLE_FLOOR = PythonReceiver(
    "floor, durable", stalls=False, module="bench.floor", options=("--durable",)
)
STORESCP = Storescp("DCMTK storescp", stalls=True)
TUNED_STORESCP = Storescp(
    "DCMTK storescp, tuned",
    stalls=True,
    never_delays=True,
    options=("--bit-preserving", "--max-pdu", "131072"),
)
ORTHANC = Orthanc("Orthanc", stalls=True)
PYNETDICOM = PythonReceiver("pynetdicom", stalls=True, module="bench.pynetdicom_scp")
