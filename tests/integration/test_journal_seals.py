"""What is read of the journal is what was written, or the journal is damaged."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
from tests.examples import AT, DIGEST, collected, report, summary

from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.gateway.ports import JournalFailed, Outcome
from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.revision import next_revision

SOPS = [f"1.{number}" for number in range(10, 90, 2)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.db"
    with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
        came = collected(instances={sop: summary(number=int(sop[2:])) for sop in SOPS})
        made = next_revision(None, came, AT)
        assert made is not None
        sent = report(count=len(SOPS))
        delivery = Delivery(delivery_id_of(sent), sent)
        journal.record([(made, delivery)])
        journal.settle([Outcome(delivery)], AT)
    return path


def damage(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


@contextlib.contextmanager
def opened(path):
    with contextlib.closing(SqliteJournal(path, is_expected=True)) as journal:
        yield journal


@pytest.mark.parametrize(
    "change",
    ["size = 101", "instance_number = 51", "is_conflict = 1", "revision = 2", "digest = x'00'"],
)
def test_changed_copy_that_is_looked_up_is_noticed(path, change):
    damage(path, f"UPDATE copy SET {change} WHERE sop_instance_uid = '1.50'")
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.known(collected("1.50"))


@pytest.mark.parametrize("name", ["1.51", "1.5"])
def test_copy_whose_name_has_changed_is_noticed_where_it_would_be(path, name):
    """Nothing is found by the name that was written: it must not be counted a second time."""
    damage(path, f"UPDATE copy SET sop_instance_uid = '{name}' WHERE sop_instance_uid = '1.50'")
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.known(collected("1.50"))


def test_damage_elsewhere_in_the_series_does_not_stop_what_is_not_of_it(path):
    damage(path, "UPDATE copy SET size = 101 WHERE sop_instance_uid = '1.50'")
    with opened(path) as journal:
        assert journal.known(collected("1.20")).instances == {"1.20"}


@pytest.mark.parametrize("change", ["sop_instance_uid = '1.51'", "digest = x'00'"])
def test_changed_copy_is_not_released(path, change):
    damage(path, f"UPDATE copy SET {change} WHERE sop_instance_uid = '1.50'")
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.take_releasable(AT)


def test_copy_that_is_still_owed_is_not_released_with_another_revision(path):
    with opened(path) as journal:
        late = collected("1.99")
        made = next_revision(journal.known(late), late, AT)
        assert made is not None
        sent = report(count=len(SOPS) + 1, revision=2)
        journal.record([(made, Delivery(delivery_id_of(sent), sent))])
    damage(path, "UPDATE copy SET revision = 1 WHERE sop_instance_uid = '1.99'")
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.take_releasable(AT)


@pytest.mark.parametrize(
    "change",
    [
        "revision = 7",
        "instances = 41",
        "size = 1",
        "identities = replace(identities, 'A', 'B') || ' '",
        "damaged_instances = '[\"1\"]'",
        "conflicting_instances = '[\"1\"]'",
        "closed_at = '2027-01-01T00:00:00+00:00'",
    ],
)
def test_changed_summary_is_noticed(path, change):
    damage(path, f"UPDATE series SET {change}")
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.known(collected("1.50"))


@pytest.mark.parametrize("change", ["last = 51", "first = 49"])
def test_changed_range_of_numbers_is_noticed(path, change):
    damage(path, f"UPDATE number_range SET {change} WHERE first = 50")
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.known(collected("new"))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM copy WHERE sop_instance_uid = '1.50'",
        "UPDATE copy SET size = 101 WHERE sop_instance_uid = '1.50'",
        "UPDATE series SET size = 1",
        "UPDATE number_range SET last = 51 WHERE first = 50",
        "INSERT INTO copy VALUES (1, '9', x'00', 0, 1, 1, 1, NULL)",
    ],
)
def test_whole_check_finds_all_damage(path, statement):
    with opened(path) as journal:
        journal.check()
    damage(path, statement)
    with opened(path) as journal, pytest.raises(JournalFailed, match="damaged"):
        journal.check()


def test_gateway_that_noticed_damage_begins_anew_at_its_next_start(path):
    damage(path, "UPDATE copy SET size = 101 WHERE sop_instance_uid = '1.50'")
    with opened(path) as journal, contextlib.suppress(JournalFailed):
        journal.known(collected("1.50", digest=DIGEST))
    with opened(path) as journal:
        assert journal.known(collected("1.50")) is None
