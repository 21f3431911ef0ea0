"""What every Journal promises."""

from __future__ import annotations

import pytest
from tests.examples import AT, collected, report

from seriesgate.adapters.memory_journal import MemoryJournal
from seriesgate.series.delivery import (
    Delivery,
    DeliveryState,
    FailureKind,
    PublishFailure,
    delivery_id_of,
)
from seriesgate.series.revision import next_revision

DOWN = PublishFailure(FailureKind.TRANSIENT, "down")


@pytest.fixture
def journal():
    return MemoryJournal()


def record(journal, *sops, series="1.2"):
    revision = next_revision(journal.known(series), collected(*sops, series=series), AT)
    assert revision is not None
    sent = report(series, count=len(revision.instances), revision=revision.revision)
    delivery = Delivery(delivery_id_of(sent), sent)
    journal.record(revision, delivery)
    return delivery


def test_nothing_is_known_of_a_series_that_was_never_closed(journal):
    assert journal.known("1.2") is None
    assert journal.undelivered() == []


def test_recorded_revision_is_known_and_owed(journal):
    delivery = record(journal, "1", "2")
    known = journal.known("1.2")
    assert (known.revision, set(known.instances)) == (1, {"1", "2"})
    assert journal.undelivered() == [delivery]
    assert journal.load(delivery.delivery_id) == delivery


def test_delivery_covers_the_instances_of_its_own_revision(journal):
    first = record(journal, "1", "2")
    second = record(journal, "3")
    assert journal.finish(first.delivery_id) == {"1", "2"}
    assert journal.finish(second.delivery_id) == {"1", "2", "3"}


def test_delivered_series_is_owed_no_more_but_still_known(journal):
    delivery = record(journal, "1")
    journal.finish(delivery.delivery_id)
    assert journal.undelivered() == []
    assert journal.known("1.2").revision == 1
    with pytest.raises(KeyError):
        journal.load(delivery.delivery_id)


def test_series_is_delivered_once_nothing_of_it_is_owed_or_dead(journal):
    first = record(journal, "1")
    second = record(journal, "2")
    record(journal, "1", series="1.4")
    assert not journal.is_delivered("1.2")
    journal.finish(first.delivery_id)
    assert not journal.is_delivered("1.2")
    journal.bury(second.delivery_id, DOWN)
    assert not journal.is_delivered("1.2")
    third = record(journal, "3")
    journal.finish(third.delivery_id)
    assert not journal.is_delivered("1.4")


def test_delivered_series_is_delivered(journal):
    journal.finish(record(journal, "1").delivery_id)
    assert journal.is_delivered("1.2")


def test_failed_attempt_is_counted(journal):
    delivery = record(journal, "1")
    journal.reschedule(delivery.delivery_id, DOWN)
    journal.reschedule(delivery.delivery_id, DOWN)
    assert journal.load(delivery.delivery_id).attempt == 3


def test_dead_letter_is_kept_and_not_owed(journal):
    dead = record(journal, "1")
    owed = record(journal, "1", series="1.4")
    journal.bury(dead.delivery_id, DOWN)
    assert journal.undelivered() == [owed]
    assert journal.counts()[DeliveryState.DEAD] == 1


def test_revisions_of_a_series_are_owed_in_order(journal):
    record(journal, "1")
    record(journal, "2")
    record(journal, "3")
    assert [d.report.Revision for d in journal.undelivered()] == [1, 2, 3]


def test_counts_add_up(journal):
    first, second, _ = (record(journal, "1", series=uid) for uid in ("1.2", "1.4", "1.6"))
    journal.finish(first.delivery_id)
    journal.bury(second.delivery_id, DOWN)
    assert journal.counts() == {
        DeliveryState.PENDING: 1,
        DeliveryState.IN_FLIGHT: 0,
        DeliveryState.DELIVERED: 1,
        DeliveryState.DEAD: 1,
    }
