"""The site of a soak: a gateway and a server as processes, what kills them, and the last count."""

from __future__ import annotations

import json
import queue
import signal
import sqlite3
import threading
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

from tests.crash.invariants import (
    check_files,
    check_is_private,
    check_no_others,
    check_row,
    check_tally,
)
from tests.data_sets import encode, mr_instance, write_file
from tests.e2e.processes import Process, free_port, seriesgate_command
from tests.soak.senders import Dcmtk, Item, Ledger, Modality, Pynetdicom, Seriesgate

from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    from pathlib import Path
_PATIENT = "SOAKSECRET"
_SERVER_DIES = 0.25
_KILLED_AT_START = 0.25
# Jobs that wait for a modality: there is always something to send.
_BACKLOG = 12
# Seconds for everything to be delivered once nothing is killed any more.
_PATIENCE = 180.0
_POLL = 0.2


class SoakFailed(Exception):
    """Something did not come to its end."""


@dataclass
class RowOfTable:
    """A row of `series_data`: implements `Row`."""

    InstancesInSeries: int
    Bytes: int
    ConflictingInstances: list[str]
    DamagedInstances: list[str]


class Work:
    """Makes jobs: new series in one part or several, late instances, resends, contradictions."""

    def __init__(self, folder: Path, random: Random, ledger: Ledger) -> None:
        self._folder = folder
        self._random = random
        self._ledger = ledger
        self._serial = 0
        self._parts: list[list[Item]] = []

    def job(self) -> list[Item]:
        """Return the next job: parts of two or three series, interleaved."""
        while len(self._parts) < 3:
            self._parts += self._new_series()
            self._random.shuffle(self._parts)
        job = [
            item
            for part in (self._parts.pop() for _ in range(self._random.randint(1, 3)))
            for item in part
        ]
        self._random.shuffle(job)
        return job

    def _new_series(self) -> list[list[Item]]:
        self._serial += 1
        series = f"1.2.826.0.1.{self._serial}"
        count = self._random.randint(1, 16)
        items = [self._item(series, number) for number in range(1, count + 1)]
        if self._random.random() < 0.2:
            items.append(self._item(series, 1, content=1))
        cut = self._random.randint(0, len(items))
        # The second part may come much later, and bring something again.
        again = self._random.sample(items[:cut], min(cut, self._random.randint(0, 2)))
        return [part for part in (items[:cut], items[cut:] + again) if part]

    def _item(self, series: str, number: int, *, content: int = 0) -> Item:
        sop = f"{series}.{number}"
        dataset = mr_instance(
            sop,
            series,
            number=number,
            patient_id=f"{_PATIENT}17",
            patient_name=f"{_PATIENT}^{content}",
            pixels=self._random.choice([64, 3000, 30000]),
        )
        path = write_file(self._folder / f"{sop}-{content}.dcm", dataset)
        copy = InstanceCopy(sop, bytes([content]))
        with self._ledger.lock:
            self._ledger.sent.setdefault(series, {})[copy] = len(encode(dataset))
        return Item(series, copy, path)


class Programs:
    """The gateway and the server, which are started, killed, and stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scp_port = free_port()
        self.server_port = free_port()
        self.admin_port = free_port()
        self.log: list[str] = []
        self.gateway: Process | None = None
        self.server: Process | None = None

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def database(self) -> Path:
        return self.folder / "series_data.db"

    def start_server(self) -> None:
        self.server = Process(
            *seriesgate_command(),
            *("server", f"--port={self.server_port}", f"--database-url=sqlite:///{self.database}"),
            cwd=self.folder,
        )

    def start_gateway(self, durability: str) -> Process:
        self.gateway = Process(
            *seriesgate_command(),
            *(
                "gateway",
                f"--scp-port={self.scp_port}",
                f"--admin-port={self.admin_port}",
                f"--state-dir={self.state}",
            ),
            *(f"--server-url=http://127.0.0.1:{self.server_port}", "--quiet-period=0.3"),
            f"--durability={durability}",
            cwd=self.folder,
            env={"SERIESGATE_GATEWAY__MIN_FREE_BYTES": "0"},
        )
        return self.gateway

    def end_gateway(self, number: signal.Signals) -> None:
        self._end(self.gateway, number)
        self.gateway = None

    def end_server(self, number: signal.Signals) -> None:
        self._end(self.server, number)
        self.server = None

    def close(self) -> None:
        for process in (self.gateway, self.server):
            if process is not None:
                process.stop()

    def _end(self, process: Process | None, number: signal.Signals) -> None:
        if process is None:
            return
        process.signal(number)
        code = process.wait()
        process.stop()
        self.log += process.output
        expected = 0 if number is signal.SIGTERM else -number
        assert code == expected, "\n".join([f"exit code {code}", *process.output[-30:]])


def soak(folder: Path, seed: int, rounds: int) -> None:
    """Run it all; say what was done. Raises SoakFailed, and AssertionError for what was lost."""
    begin = monotonic()
    _say(f"seed {seed}, {rounds} rounds")
    random = Random(seed)
    (folder / "files").mkdir()
    ledger, jobs = Ledger(), queue.Queue[list[Item]](maxsize=_BACKLOG)
    no_more, give_up = threading.Event(), threading.Event()
    programs = Programs(folder)
    senders = (
        Dcmtk(programs.scp_port, folder),
        Dcmtk(programs.scp_port, folder),
        Pynetdicom(programs.scp_port),
        Seriesgate(programs.scp_port),
    )
    modalities = [Modality(sender, jobs, ledger, no_more, give_up) for sender in senders]
    work = Work(folder / "files", Random(seed), ledger)
    feeder = threading.Thread(target=_feed, args=(work, jobs, no_more))
    with ExitStack() as stack:
        stack.callback(programs.close)
        for thread in (*modalities, feeder):
            thread.start()
            stack.callback(thread.join)
        stack.callback(no_more.set)
        stack.callback(give_up.set)
        programs.start_server()
        for number in range(rounds):
            _round(programs, random, ledger, ("power", "process")[number % 2])
            if (number + 1) % 10 == 0:
                _say(f"{number + 1} rounds, {monotonic() - begin:.0f} s, {_summary(ledger)}")
        no_more.set()
        _settle(programs, modalities)
        _check(programs, ledger)
    _say(f"nothing is lost: {_summary(ledger)}, {monotonic() - begin:.0f} s")


def _feed(work: Work, jobs: queue.Queue[list[Item]], no_more: threading.Event) -> None:
    while not no_more.is_set():
        job = work.job()
        while not no_more.is_set():
            with suppress(queue.Full):
                jobs.put(job, timeout=_POLL)
                break


def _round(programs: Programs, random: Random, ledger: Ledger, durability: str) -> None:
    """Start the gateway and kill it; the server may die before it, and is back the round after."""
    if programs.server is None:
        programs.start_server()
    gateway = programs.start_gateway(durability)
    if random.random() < _KILLED_AT_START:
        ledger.count("gateway killed while it starts")
        _wait(random.uniform(0.2, 1.5))
    else:
        gateway.wait_for("the gateway listens")
        ledger.count("gateway killed at work")
        _wait(random.choice([random.uniform(0.0, 0.5), random.uniform(0.5, 3.0)]))
    if random.random() < _SERVER_DIES:
        ledger.count("server killed")
        programs.end_server(signal.SIGKILL)
        _wait(random.uniform(0.0, 1.0))
    programs.end_gateway(signal.SIGKILL)


def _settle(programs: Programs, modalities: list[Modality]) -> None:
    """Let everybody finish: modalities, deliveries, the removal of files; then stop."""
    if programs.server is None:
        programs.start_server()
    programs.start_gateway("power")
    end = monotonic() + _PATIENCE
    for modality in modalities:
        modality.join(max(0.0, end - monotonic()))
        if modality.error is not None:
            raise SoakFailed(f"{modality.name} ended with {modality.error!r}")
        if modality.is_alive():
            raise SoakFailed(f"{modality.name} was not acknowledged in time")
    while _files(programs):
        if monotonic() > end:
            raise SoakFailed(f"left over: {_files(programs)[:5]}")
        _wait(_POLL)
    # The last files go when the journal knows of their delivery.
    programs.end_gateway(signal.SIGTERM)


def _check(programs: Programs, ledger: Ledger) -> None:
    rows = _check_rows(programs, ledger)
    # I7: one more start changes nothing.
    programs.start_gateway("power").wait_for("the gateway listens")
    _wait(1.0)
    programs.end_gateway(signal.SIGTERM)
    programs.end_server(signal.SIGTERM)
    assert _check_rows(programs, ledger) == rows, "I7: a restart changed something"
    check_files(_files(programs), ())
    names = [str(path.relative_to(programs.folder)) for path in programs.state.rglob("*")]
    check_is_private([*programs.log, *names], [_PATIENT])


def _check_rows(programs: Programs, ledger: Ledger) -> dict[str, RowOfTable]:
    """Everything was acknowledged in the end, so each row has exactly all of its series."""
    rows = _rows(programs)
    for series, sent in ledger.sent.items():
        acknowledged = ledger.acknowledged.get(series, set())
        if acknowledged or series in rows:
            check_row(series, sent, acknowledged, rows.get(series))
            counted = len({copy.sop_instance_uid for copy in acknowledged})
            assert rows[series].InstancesInSeries == counted, f"I3: {series} has a wrong count"
    check_no_others(ledger.sent, rows)
    with closing(SqliteJournal(programs.state / "journal.db", is_expected=True)) as journal:
        check_tally(journal.tally(), sum(row.InstancesInSeries for row in rows.values()))
    return rows


def _rows(programs: Programs) -> dict[str, RowOfTable]:
    query = "SELECT SeriesInstanceUID, InstancesInSeries, Bytes, ConflictingInstances,"
    with closing(sqlite3.connect(programs.database)) as connection:
        return {
            uid: RowOfTable(count, size, json.loads(conflicts), json.loads(damaged))
            for uid, count, size, conflicts, damaged in connection.execute(
                f"{query} DamagedInstances FROM series_data"
            )
        }


def _files(programs: Programs) -> list[str]:
    folders = [programs.state / name for name in ("spool", "incoming", "quarantine")]
    return [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]


def _summary(ledger: Ledger) -> str:
    with ledger.lock:
        series = len(ledger.acknowledged)
        instances = sum(len(known) for known in ledger.acknowledged.values())
        counts = ", ".join(f"{name} {count}" for name, count in sorted(ledger.counts.items()))
    return f"{series} series, {instances} instances ({counts})"


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _say(line: str) -> None:
    print(line, flush=True)
