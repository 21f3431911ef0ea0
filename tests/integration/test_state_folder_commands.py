"""`seriesgate spool verify` and `seriesgate outbox` on what a gateway has left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re

import pytest
from tests.data_sets import mr_data_set
from tests.e2e.processes import free_port
from tests.examples import AT, collected, header, report
from typer.testing import CliRunner

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.state_folder import StateFolder
from seriesgate.cli import app
from seriesgate.gateway.ports import Outcome, StoreRequest
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import (
    Delivery,
    DeliveryState,
    FailureKind,
    PublishFailure,
    delivery_id_of,
)
from seriesgate.series.model import Instance
from seriesgate.series.revision import next_revision

EXPLICIT_LE = "1.2.840.10008.1.2.1"
REFUSED = PublishFailure(FailureKind.REJECTED, "the server answered 422 Unprocessable Entity")


class State:
    """A state folder with two dead letters of two instances, one pending delivery, and its port."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.spool = FileSpool(folder, Durability.PROCESS, HeaderScanners())
        self.letters = [self._close(f"1.{n}", is_dead=n < 3) for n in (1, 2, 3)]

    def _close(self, series, *, is_dead):
        collector = SeriesCollector(1.0)
        for sop in (f"{series}.1", f"{series}.2"):
            collector.observe(self.receive(sop, series), 0.0)
        (closed,) = collector.close_quiet(1.0)
        revision = next_revision(None, closed, AT)
        sent = report(series, count=2)
        delivery = Delivery(delivery_id_of(sent), sent)
        with self.journal() as journal:
            journal.record([(revision, delivery)])
            if is_dead:
                journal.settle([Outcome(delivery, REFUSED, is_final=True)], AT)
        return delivery.delivery_id

    def receive(self, sop, series):
        data_set = mr_data_set(sop=sop, series=series)
        request = StoreRequest("MR1", EXPLICIT_LE, "1.2.840.10008.5.1.4.1.1.4", sop)
        file = self.spool.create(request)
        file.write(data_set)
        file.keep(header(sop, series))
        return Instance(header(sop, series), "MR1", file.size, AT, file.digest)

    @contextlib.contextmanager
    def journal(self):
        path = self.folder / "journal.db"
        with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
            yield journal

    def count(self, state):
        with self.journal() as journal:
            return journal.tally().deliveries[state]

    def files(self):
        return sorted((self.folder / "spool").rglob("*.dcm"))

    def run(self, *arguments, expect=0, answer=None):
        options = [f"--state-dir={self.folder}"]
        if arguments[0] == "outbox":
            options.append(f"--admin-port={self.port}")
        done = CliRunner().invoke(app, [*arguments, *options], input=answer)
        assert done.exit_code == expect, done.output
        return done.output if expect == 1 else done.stdout


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "state").mkdir()
    return State(tmp_path / "state")


def verify(state, expect=0):
    return json.loads(state.run("spool", "verify", "--json", expect=expect))


def test_sound_spool_is_compared_with_the_journal(state):
    state.receive("1.9.1", "1.9")  # of a series that is still open
    found = verify(state)
    assert (found["sound"], found["files"], found["journal"]) == (True, 7, "compared")
    assert found["bytes"] > 7 * 100
    assert state.run("spool", "verify").startswith("7 files, ")


def test_spool_of_a_running_gateway_is_read_without_its_journal(state):
    with contextlib.closing(StateFolder(state.folder)):
        found = verify(state)
    assert found["sound"]
    assert "a gateway runs: stop it" in found["journal"]


def flip_last_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def misname(path):
    path.rename(path.with_name("0" * 32 + ".dcm"))


def replace_by_a_link(path):
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def replace_by_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (flip_last_bit, "checksum differs"),
        (cut_short, "cut short"),
        (misname, "name is not that of its content"),
        (replace_by_a_link, "cannot be read"),
        (replace_by_a_pipe, "not a regular file"),
        (empty, "no DICM prefix"),
    ],
)
def test_damaged_file_is_named_and_is_missing_to_the_journal(state, damage, problem):
    damage(state.files()[0])
    found = verify(state, expect=3)
    assert not found["sound"]
    assert any(problem in each["problem"] for each in found["problems"])
    assert len(found["missing"]) == 1
    lines = state.run("spool", "verify", expect=3).splitlines()
    assert any(line.startswith("spool/") and problem in line for line in lines)
    assert any(line.startswith("missing: instance ") for line in lines)
    assert not any("Doe" in line or "A/17" in line for line in lines)


def test_removed_file_is_missing_unless_it_was_given_up(state):
    for path in state.files():
        path.unlink()
    assert len(verify(state, expect=3)["missing"]) == 6
    state.run("outbox", "discard", "--all", "--yes")
    assert len(verify(state, expect=3)["missing"]) == 2


def test_quarantine_is_reported(state):
    (state.folder / "quarantine" / "0").write_text("x")
    assert verify(state, expect=3)["quarantined"] == 1


def test_damaged_journal_is_said_and_left_alone(state):
    path = state.folder / "journal.db"
    path.write_bytes(b"x" * 5000)
    for command in (("spool", "verify"), ("outbox", "list")):
        assert "journal.db cannot be used" in state.run(*command, expect=1)
    assert path.read_bytes() == b"x" * 5000


@pytest.mark.parametrize("command", [("spool", "verify"), ("outbox", "list")])
def test_folder_without_a_state_is_one_clear_line_and_makes_none(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    port = [f"--admin-port={free_port()}"] if command[0] == "outbox" else []
    done = CliRunner().invoke(app, [*command, "--state-dir=nowhere", *port])
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert "--state-dir" in line
    assert list(tmp_path.iterdir()) == []


def test_outbox_is_listed_without_a_gateway(state):
    outbox = json.loads(state.run("outbox", "list", "--json"))
    assert (outbox["dead"], outbox["pending"]) == (2, 1)
    assert {each["delivery_id"] for each in outbox["deliveries"]} == set(state.letters)
    lines = state.run("outbox", "list", "--dead").splitlines()
    assert lines[0] == "2 dead letters, 1 pending"
    assert len(lines) == 4
    assert all(len(line) <= 160 for line in lines)
    assert state.letters[0][:8] in lines[2]
    assert "422" in lines[2]


def test_uid_is_shown_as_it_is(state):
    revision = next_revision(None, collected("1.9", series="1.[b]9"), AT)
    sent = report("1.[b]9")
    with state.journal() as journal:
        journal.record([(revision, Delivery(delivery_id_of(sent), sent))])
    assert "1.[b]9" in state.run("outbox", "list")


def test_dead_letter_is_retried_without_a_gateway(state):
    shown = state.run("outbox", "retry", state.letters[0][:8])
    assert shown == "1 dead letter will be delivered again\n"
    assert (state.count(DeliveryState.PENDING), state.count(DeliveryState.DEAD)) == (2, 1)
    assert "no dead letter has this id" in state.run(
        "outbox", "retry", state.letters[0][:8], expect=1
    )
    assert json.loads(state.run("outbox", "retry", "--all", "--json")) == {"retried": 1}
    assert state.count(DeliveryState.DEAD) == 0


def test_discarding_asks_first(state):
    refused = state.run("outbox", "discard", state.letters[0], answer="n\n", expect=1)
    assert "nothing is discarded" in refused
    assert state.count(DeliveryState.DISCARDED) == 0
    state.run("outbox", "discard", state.letters[0], answer="y\n")
    assert state.count(DeliveryState.DISCARDED) == 1
    state.run("outbox", "discard", "--all", "--yes")
    assert state.count(DeliveryState.DISCARDED) == 2


@pytest.mark.parametrize("action", ["retry", "discard"])
@pytest.mark.parametrize("choice", [(), ("0123456789", "--all")])
def test_one_or_all_must_be_chosen(state, action, choice):
    state.run("outbox", action, *choice, expect=2)


def test_running_gateway_that_cannot_be_asked_is_said(state):
    with contextlib.closing(StateFolder(state.folder)):
        said = state.run("outbox", "list", expect=1)
    assert re.search(r"a gateway runs on .* name its port with --admin-port", said)


def test_status_without_a_gateway_is_one_clear_line(state):
    done = CliRunner().invoke(app, ["status", f"--admin-port={state.port}"])
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert f"no gateway answers at http://127.0.0.1:{state.port}" in line
