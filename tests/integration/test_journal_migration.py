"""Journals of earlier versions are brought forward with all that they know and owe."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.examples import AT, DIGEST, IDENTITY, OTHER, collected, report, summary

from seriesgate.adapters.journal.schema import MIGRATIONS
from seriesgate.adapters.journal.seals import seal
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.gateway.ports import Outcome, Owed
from seriesgate.series.delivery import Delivery, DeliveryState, delivery_id_of
from seriesgate.series.description import SeriesDescription
from seriesgate.series.model import Identity, InstanceCopy
from seriesgate.series.revision import next_revision

if TYPE_CHECKING:
    from pathlib import Path

BEFORE_SUMMARIES = 4
DESCRIPTION = SeriesDescription(patient_name="Doe^Jane", patient_id="A/17", series_number=3)
LATER = AT + timedelta(hours=1)


def delivery_of(series: str, revision: int, count: int) -> Delivery:
    sent = report(series, count=count, revision=revision)
    return Delivery(delivery_id_of(sent), sent)


def write_series(connection: sqlite3.Connection, series_id: int, uid: str, revision: int) -> None:
    connection.execute(
        "INSERT INTO series VALUES (?, ?, '1.3', ?, 'MODALITY', ?, '[\"PatientID\"]', '[\"7\"]',"
        " ?, ?, ?, ?, ?)",
        (
            series_id,
            uid,
            b"A/17",
            revision,
            *(AT.isoformat(),) * 3,
            json.dumps(asdict(DESCRIPTION)),
            b"of what is not there any more",
        ),
    )


def write_copy(
    connection: sqlite3.Connection, series_id: int, sop: str, number: int | None, revision: int = 1
) -> None:
    row = (series_id, sop, DIGEST, 0, 100, number, revision)
    connection.execute("INSERT INTO copy VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def write_delivery(
    connection: sqlite3.Connection, series_id: int, delivery: Delivery, state: DeliveryState
) -> None:
    text = delivery.report.model_dump_json(exclude_none=True)
    settled_at = AT.timestamp() if state is DeliveryState.DELIVERED else None
    connection.execute(
        "INSERT INTO delivery VALUES (NULL, ?, ?, ?, 1, ?, ?, 1, '', ?, ?, ?, ?)",
        (
            delivery.delivery_id,
            series_id,
            delivery.report.Revision,
            text,
            state,
            AT.timestamp() if state is DeliveryState.DEAD else None,
            settled_at,
            0,
            seal(delivery.delivery_id, text),
        ),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Series 1.2 is owed with two revisions, 1.4 is dead, 1.6 is delivered and not released."""
    path = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for migration in MIGRATIONS[:BEFORE_SUMMARIES]:
            connection.executescript(migration)
        connection.execute(f"PRAGMA user_version = {BEFORE_SUMMARIES}")
        for series_id, uid, revision in ((1, "1.2", 2), (2, "1.4", 1), (3, "1.6", 1)):
            write_series(connection, series_id, uid, revision)
        for sop, number, revision in (
            ("1", 1, 1),
            ("2", 2, 1),
            ("3", 3, 1),
            ("4", None, 1),
            ("5", -4, 2),
            ("6", 8, 2),
            ("8", 8, 2),
        ):
            write_copy(connection, 1, sop, number, revision)
        conflict = "INSERT INTO copy VALUES (1, ?, ?, 1, NULL, NULL, 2)"
        connection.execute(conflict, ("1", OTHER))
        connection.execute(conflict, ("9", OTHER))  # its first copy was damaged
        write_copy(connection, 2, "1", 1)
        write_copy(connection, 3, "1", 1)
        for series_id, delivery, state in (
            (1, delivery_of("1.2", 1, 4), DeliveryState.PENDING),
            (1, delivery_of("1.2", 2, 7), DeliveryState.PENDING),
            (2, delivery_of("1.4", 1, 1), DeliveryState.DEAD),
            (3, delivery_of("1.6", 1, 1), DeliveryState.DELIVERED),
        ):
            write_delivery(connection, series_id, delivery, state)
        connection.commit()
    return path


@pytest.fixture
def journal(path: Path):
    with contextlib.closing(SqliteJournal(path, is_expected=True)) as journal:
        yield journal
    assert [each.name for each in path.parent.iterdir()] == [path.name], "it was put away"


def test_what_was_owed_dead_and_delivered_still_is(journal):
    assert journal.undelivered() == [
        Owed(delivery_of("1.2", 1, 4).delivery_id, "1.2"),
        Owed(delivery_of("1.2", 2, 7).delivery_id, "1.2"),
    ]
    first = delivery_of("1.2", 1, 4)
    assert journal.load(first.delivery_id) == first
    assert [letter.series_instance_uid for letter in journal.dead_letters()] == ["1.4"]
    assert journal.take_releasable(LATER) == {"1.6": {InstanceCopy("1", DIGEST)}}
    journal.settle([Outcome(delivery_of("1.2", 2, 7))], AT)
    assert journal.take_releasable(LATER)["1.2"] == {
        *(InstanceCopy(sop, DIGEST) for sop in "568"),
        InstanceCopy("1", OTHER),
        InstanceCopy("9", OTHER),
    }


def test_what_was_known_of_a_series_is_its_summary(journal):
    known = journal.known(collected("1", "2", "77", series="1.2"))
    assert known.copies == {InstanceCopy("1", DIGEST), InstanceCopy("2", DIGEST)}
    assert known.instances == {"1", "2"}
    of = known.summary
    assert (of.revision, of.instances, of.size) == (2, 8, 700)
    assert of.conflicting_instances == ("1",)
    assert of.damaged_instances == ("7",)
    assert of.inconsistent_attributes == {"PatientID"}
    assert of.description == DESCRIPTION
    assert of.identities.majority.identity == IDENTITY
    assert of.identities.majority.calling_ae_title == "MODALITY"
    assert (of.first_instance_at, of.last_instance_at, of.closed_at) == (AT, AT, AT)


def test_series_goes_on_where_it_was(journal):
    came = collected(series="1.2", instances={"a": summary(number=0), "b": summary(number=5)})
    made = next_revision(journal.known(came), came, LATER)
    assert made is not None
    assert (made.summary.revision, made.summary.instances) == (3, 10)
    assert made.missing_instance_numbers == (-3, -2, -1, 4, 6, 7)
    sent = report("1.2", count=10, revision=3)
    journal.record([(made, Delivery(delivery_id_of(sent), sent))])
    known = journal.known(collected("a", "1", series="1.2"))
    assert known.instances == {"a", "1"}


def test_strays_of_a_series_of_before_are_those_that_come_from_now_on(journal):
    came = collected("s", series="1.4", identity=Identity("9.9", b"B"))
    made = next_revision(journal.known(came), came, LATER)
    assert made is not None
    assert made.summary.identities.strays() == ["s"]
    assert made.summary.study_instance_uid == "1.3"
