"""What every Journal promises."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import AT, DIGEST, IDENTITY, OTHER, collected, report, summary
from tests.memory_journal import MemoryJournal

from seriesgate.adapters.journal import releases
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.gateway.ports import DeadLetter, Outcome, Owed, PendingDelivery
from seriesgate.gateway.senders import SenderStatistics
from seriesgate.series.delivery import (
    Delivery,
    DeliveryState,
    FailureKind,
    PublishFailure,
    delivery_id_of,
)
from seriesgate.series.description import SeriesDescription
from seriesgate.series.model import Identity, InstanceCopy
from seriesgate.series.pauses import BOUNDS, PauseHistogram
from seriesgate.series.revision import next_revision

DOWN = PublishFailure(FailureKind.TRANSIENT, "down")
REFUSED = PublishFailure(FailureKind.REJECTED, "the server answered 422")
STRANGER = Identity("9.9", b"B/9")
LATER = AT + timedelta(hours=1)


@pytest.fixture(params=["memory", "sqlite"])
def journal(request, tmp_path):
    if request.param == "memory":
        yield MemoryJournal()
    else:
        with contextlib.closing(SqliteJournal(tmp_path / "journal.db", is_expected=False)) as real:
            yield real


def close_series(journal, *sops, series="1.2", **attributes):
    """Return the next revision of a series and its delivery, not recorded yet."""
    came = collected(*sops, series=series, **attributes)
    revision = next_revision(journal.known(came), came, AT)
    assert revision is not None
    summary = revision.summary
    sent = report(series, count=summary.instances, revision=summary.revision)
    return revision, Delivery(delivery_id_of(sent), sent)


def summary_of(journal, series="1.2"):
    known = journal.known(collected(series=series))
    return None if known is None else known.summary


def known_of(journal, *sops, digest=DIGEST, series="1.2"):
    """Return which of these copies and instances are known."""
    known = journal.known(collected(*sops, digest=digest, series=series))
    return known.copies, known.instances


def record(journal, *sops, series="1.2", **attributes):
    closed = close_series(journal, *sops, series=series, **attributes)
    journal.record([closed])
    return closed[1]


def deliver(journal, *deliveries, at=AT):
    journal.settle([Outcome(delivery) for delivery in deliveries], at)


def bury(journal, delivery, at=AT):
    journal.settle([Outcome(delivery, REFUSED, is_final=True)], at)


def copies(*sops, digest=DIGEST):
    return {InstanceCopy(sop, digest) for sop in sops}


def owed_ids(journal):
    return [owed.delivery_id for owed in journal.undelivered()]


def test_nothing_is_known_of_a_series_that_was_never_closed(journal):
    assert summary_of(journal) is None
    assert journal.undelivered() == []
    assert journal.dead_letters() == []


def test_recorded_revision_is_known_with_all_that_was_known_of_it(journal):
    revision, delivery = close_series(
        journal,
        "1",
        "2",
        conflicting={InstanceCopy("1", OTHER)},
        damaged_instances=frozenset({"7"}),
        identity=Identity("1.3", b"\xff\x00"),
        last_instance_at=LATER,
    )
    journal.record([(revision, delivery)])
    known = summary_of(journal)
    assert (known.instances, known.size, known.revision) == (2, 200, 1)
    assert known.conflicting_instances == ("1",)
    assert known.damaged_instances == ("7",)
    assert [group.identity for group in known.identities.groups] == [Identity("1.3", b"\xff\x00")]
    assert (known.first_instance_at, known.last_instance_at, known.closed_at) == (AT, LATER, AT)
    assert known_of(journal, "1", "2", "3") == (copies("1", "2"), {"1", "2"})
    assert known_of(journal, "1", "2", digest=OTHER) == (copies("1", digest=OTHER), {"1", "2"})
    assert journal.load(delivery.delivery_id) == delivery
    assert journal.undelivered() == [Owed(delivery.delivery_id, "1.2")]


def test_second_revision_is_known_in_place_of_the_first(journal):
    record(journal, "1", "2")
    record(journal, "2", "3", digest=OTHER)
    known = summary_of(journal)
    assert (known.revision, known.instances) == (2, 3)
    assert known.conflicting_instances == ("2",)
    assert known_of(journal, "1", "2", "3") == (copies("1", "2"), {"1", "2", "3"})
    assert known_of(journal, "2", "3", digest=OTHER)[0] == copies("2", "3", digest=OTHER)


def test_nothing_is_known_of_another_series_instances(journal):
    record(journal, "1", "5", series="1.1")
    record(journal, "2", series="1.2")
    record(journal, "1", "5", series="1.3")
    assert known_of(journal, "1", "2", "5") == (copies("2"), {"2"})


def test_instance_whose_file_was_damaged_is_looked_for(journal):
    record(journal, "1")
    came = collected(damaged_instances=frozenset({"1", "2"}))
    assert journal.known(came).instances == {"1"}


def test_strays_are_known_by_name_also_those_that_came_before_the_others(journal):
    record(journal, "s", identity=STRANGER)
    revision, delivery = close_series(journal, "1", "2")
    assert revision.summary.identities.strays() == ["s"]
    journal.record([(revision, delivery)])
    known = summary_of(journal)
    assert known.inconsistent_attributes == {"PatientID", "StudyInstanceUID"}
    assert known.identities.majority.identity == IDENTITY
    assert known.identities.strays() == ["s"]
    more, _ = close_series(journal, "t", "u", identity=STRANGER)
    assert more.summary.identities.strays() == ["1", "2"]


@settings(deadline=None, max_examples=20)
@given(batches=st.lists(st.lists(st.integers(-40, 40), max_size=12), min_size=1, max_size=8))
def test_missing_numbers_are_those_of_all_revisions(batches):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
            check_missing_numbers(journal, batches)


def test_numbers_far_behind_the_first_gaps_join_the_ranges_that_are_there(tmp_path):
    """A late number is looked for where it is, not only among the gaps that a report names."""
    with contextlib.closing(SqliteJournal(tmp_path / "journal.db", is_expected=False)) as journal:
        record(journal, instances={str(n): summary(number=2 * n) for n in range(2000)})
        record(journal, instances={"late": summary(number=3001), "again": summary(number=3000)})
        count = "SELECT count(*), max(last - first) FROM number_range"
        assert journal._connection.execute(count).fetchone() == (1999, 2)


def check_missing_numbers(journal, batches):
    seen = set()
    for place, batch in enumerate(batches):
        instances = {f"{place}.{i}": summary(1, number) for i, number in enumerate(batch)}
        if not instances:
            continue
        revision, delivery = close_series(journal, instances=instances)
        journal.record([(revision, delivery)])
        seen.update(batch)
        least, most = min(seen, default=0), max(seen, default=0)
        assert set(revision.missing_instance_numbers) == set(range(least, most)) - seen


def test_instance_without_a_readable_number_may_be_any_that_is_missing(journal):
    instances = {str(number): summary(number=number) for number in (1, 5)}
    revision, delivery = close_series(journal, instances=instances)
    journal.record([(revision, delivery)])
    assert revision.missing_instance_numbers == (2, 3, 4)
    for late in ({"unreadable": summary(number=None)}, {"9": summary(number=9)}):
        revision, delivery = close_series(journal, instances=late)
        journal.record([(revision, delivery)])
        assert revision.missing_instance_numbers == ()


def test_description_is_kept(journal):
    revision, delivery = close_series(journal, "1")
    description = SeriesDescription(patient_name="山田^太郎", series_number=3)
    journal.record([(revision.described(description), delivery)])
    assert summary_of(journal).description == description


def test_what_closes_together_is_recorded_together(journal):
    closed = [close_series(journal, "1", series=f"1.{number}") for number in range(3)]
    journal.record(closed)
    assert owed_ids(journal) == [delivery.delivery_id for _, delivery in closed]


def test_recording_is_all_or_nothing(tmp_path):
    with contextlib.closing(SqliteJournal(tmp_path / "journal.db", is_expected=False)) as journal:
        check_that_recording_is_all_or_nothing(journal)


def check_that_recording_is_all_or_nothing(journal):
    closed = close_series(journal, "1")
    with pytest.raises(ValueError, match="meanwhile"):
        journal.record([closed, closed])
    assert summary_of(journal) is None
    assert journal.undelivered() == []
    assert journal.tally().closed == 0


def test_delivered_series_is_owed_no_more_but_still_known(journal):
    delivery = record(journal, "1")
    deliver(journal, delivery)
    assert journal.undelivered() == []
    assert summary_of(journal).revision == 1
    with pytest.raises(KeyError):
        journal.load(delivery.delivery_id)


def test_failed_attempt_is_counted(journal):
    delivery = record(journal, "1")
    for _ in range(2):
        journal.settle([Outcome(delivery, DOWN)], AT)
    assert journal.load(delivery.delivery_id).attempt == 3
    assert owed_ids(journal) == [delivery.delivery_id]


def test_dead_letter_is_kept_with_its_reason_and_not_owed(journal):
    dead = record(journal, "1", "2")
    owed = record(journal, "1", series="1.4")
    bury(journal, dead, LATER)
    assert owed_ids(journal) == [owed.delivery_id]
    assert journal.dead_letters() == [
        DeadLetter(dead.delivery_id, "1.2", 1, 2, 1, "the server answered 422", LATER)
    ]


def test_dead_letter_is_revived_once(journal):
    delivery = record(journal, "1")
    with pytest.raises(KeyError):
        journal.revive(delivery.delivery_id)
    bury(journal, delivery)
    assert journal.revive(delivery.delivery_id) == Owed(delivery.delivery_id, "1.2")
    assert owed_ids(journal) == [delivery.delivery_id]
    assert journal.dead_letters() == []
    with pytest.raises(KeyError):
        journal.revive(delivery.delivery_id)
    assert journal.load(delivery.delivery_id).attempt == 2


@pytest.mark.parametrize("action", ["revive", "discard"])
def test_what_is_not_there_can_be_neither_revived_nor_discarded(journal, action):
    arguments = (AT,) if action == "discard" else ()
    with pytest.raises(KeyError):
        getattr(journal, action)("no such delivery", *arguments)


def test_revisions_of_a_series_are_owed_in_order(journal):
    made = [record(journal, sop) for sop in ("1", "2", "3")]
    assert owed_ids(journal) == [delivery.delivery_id for delivery in made]


def test_delivered_copies_are_released_once_and_not_before_their_time(journal):
    delivery = record(journal, "1", "2")
    assert journal.take_releasable(LATER) == {}
    deliver(journal, delivery, at=AT)
    assert journal.take_releasable(AT - timedelta(seconds=1)) == {}
    assert journal.take_releasable(AT) == {"1.2": copies("1", "2")}
    assert journal.take_releasable(LATER) == {}


def test_what_is_owed_or_dead_is_not_released_with_another_revision(journal):
    first = record(journal, "1")
    second = record(journal, "2")
    third = record(journal, "3")
    bury(journal, first)
    deliver(journal, second)
    assert journal.take_releasable(AT) == {"1.2": copies("2")}
    deliver(journal, third)
    assert journal.take_releasable(AT) == {"1.2": copies("3")}
    journal.discard(first.delivery_id, AT)
    assert journal.take_releasable(AT) == {"1.2": copies("1")}


def test_conflicting_copies_are_released_with_the_revision_that_has_them(journal):
    deliver(journal, record(journal, "1"))
    journal.take_releasable(AT)
    second = record(journal, "1", digest=OTHER)
    assert journal.take_releasable(LATER) == {}
    deliver(journal, second)
    assert journal.take_releasable(AT) == {"1.2": copies("1", digest=OTHER)}


def test_copies_that_came_again_are_released_once_more(journal):
    deliver(journal, record(journal, "1", "2"))
    journal.take_releasable(AT)
    journal.hold("1.2", copies("1", "never seen"))
    journal.hold("never closed", copies("1"))
    assert journal.forget(LATER) is False
    assert journal.take_releasable(AT) == {"1.2": copies("1")}
    assert journal.take_releasable(AT) == {}


def test_copies_that_came_again_with_new_ones_are_released_at_once(journal):
    deliver(journal, record(journal, "1", "2"))
    journal.take_releasable(AT)
    late = record(journal, "2", "3")
    assert journal.take_releasable(LATER) == {"1.2": copies("2")}
    deliver(journal, late)
    assert journal.take_releasable(LATER) == {"1.2": copies("3")}


def test_copies_that_came_again_wait_for_a_delivery_that_has_not_ended(journal):
    delivery = record(journal, "1")
    journal.hold("1.2", copies("1"))
    assert journal.take_releasable(LATER) == {}
    bury(journal, delivery)
    journal.hold("1.2", copies("1"))
    assert journal.take_releasable(LATER) == {}
    journal.discard(delivery.delivery_id, AT)
    journal.hold("1.2", copies("1"))
    assert journal.take_releasable(LATER) == {"1.2": copies("1")}
    assert journal.take_releasable(LATER) == {}


def test_large_series_is_released_in_slices_and_each_copy_once(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "_COPIES", 7)
    with contextlib.closing(SqliteJournal(tmp_path / "journal.db", is_expected=False)) as journal:
        sops = [str(number) for number in range(30)]
        first = record(journal, *sops, conflicting={InstanceCopy("5", OTHER)})
        late = record(journal, *map(str, range(30, 50)))
        deliver(journal, first, late, record(journal, "x", series="1.4"))
        slices = []
        while taken := journal.take_releasable(AT):
            slices.append([(uid, copy) for uid, found in taken.items() for copy in found])
            if len(slices) == 2:
                journal.hold("1.2", copies("0", "29", "9"))  # while the release is under way
        assert max(map(len, slices)) <= 7
    released = Counter(each for some in slices for each in some)
    wanted = {("1.2", copy) for copy in copies(*map(str, range(50)))}
    assert released.keys() == wanted | {
        ("1.2", InstanceCopy("5", OTHER)),
        ("1.4", InstanceCopy("x", DIGEST)),
    }
    again = {copy.sop_instance_uid for (_, copy), times in released.items() if times == 2}
    assert again == {"0"}, "what was not released yet is released once"


def test_release_goes_on_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "_COPIES", 7)
    path = tmp_path / "journal.db"
    seen: list[InstanceCopy] = []
    with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
        deliver(journal, record(journal, *map(str, range(20))))
    for _ in range(3):
        with contextlib.closing(SqliteJournal(path, is_expected=True)) as journal:
            seen += journal.take_releasable(AT)["1.2"]
    assert sorted(seen) == sorted(copies(*map(str, range(20))))


def test_large_series_is_forgotten_in_slices_and_unknown_from_the_first_on(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "_COPIES", 7)
    with contextlib.closing(SqliteJournal(tmp_path / "journal.db", is_expected=False)) as journal:
        numbered = {str(number): summary(number=2 * number) for number in range(30)}
        deliver(journal, record(journal, instances=numbered))
        while journal.take_releasable(AT):
            pass
        assert journal.forget(LATER) is True
        assert summary_of(journal) is None
        again = record(journal, "0")  # it comes again meanwhile: a new series
        while journal.forget(LATER):
            pass
        assert summary_of(journal).instances == 1
        assert owed_ids(journal) == [again.delivery_id]
        assert journal.tally().closed == 31
        tables = ("copy", "number_range", "series")
        count = "SELECT count(*) FROM "
        counts = [journal._connection.execute(count + table).fetchone()[0] for table in tables]
        assert counts == [1, 1, 1]


def test_revision_of_a_series_that_was_forgotten_meanwhile_is_not_written(tmp_path):
    """It would count instances that are not known any more; closed anew, it is the first."""
    with contextlib.closing(SqliteJournal(tmp_path / "journal.db", is_expected=False)) as journal:
        deliver(journal, record(journal, "1"))
        journal.take_releasable(AT)
        late = close_series(journal, "2")
        while journal.forget(LATER):
            pass
        with pytest.raises(ValueError, match="meanwhile"):
            journal.record([late])
        assert record(journal, "2").report.Revision == 1
        journal.check()


def test_series_is_forgotten_only_when_nothing_of_it_is_left_to_do(journal):
    first, second = record(journal, "1"), record(journal, "2")
    kept = record(journal, "1", series="1.4")
    deliver(journal, first)
    journal.take_releasable(AT)
    assert journal.forget(LATER) is False
    deliver(journal, second)
    assert journal.forget(LATER) is False
    journal.take_releasable(AT)
    assert journal.forget(AT - timedelta(seconds=1)) is False
    while journal.forget(AT):
        pass
    assert summary_of(journal) is None
    assert summary_of(journal, "1.4") is not None
    assert owed_ids(journal) == [kept.delivery_id]
    assert record(journal, "9").report.Revision == 1


def test_tally_adds_up_whatever_becomes_of_deliveries(journal):
    delivered = record(journal, "1", "2", series="1.2")
    dead = record(journal, "1", series="1.4")
    discarded = record(journal, "1", "2", "3", series="1.6")
    record(journal, "1", series="1.8")
    deliver(journal, delivered)
    bury(journal, dead)
    bury(journal, discarded)
    journal.discard(discarded.delivery_id, AT)
    for _ in range(2):
        tally = journal.tally()
        assert (tally.closed, tally.delivered, tally.pending, tally.dead, tally.discarded) == (
            7,
            2,
            1,
            1,
            3,
        )
        assert tally.deliveries == {
            DeliveryState.PENDING: 1,
            DeliveryState.IN_FLIGHT: 0,
            DeliveryState.DELIVERED: 1,
            DeliveryState.DEAD: 1,
            DeliveryState.DISCARDED: 1,
        }
        journal.take_releasable(LATER)
        while journal.forget(datetime.now(UTC)):
            pass


def test_tally_knows_since_when_the_oldest_pending_delivery_is_owed(journal):
    assert journal.tally().oldest_pending_at is None
    made = []
    for number in range(2):
        revision, delivery = close_series(journal, "1", series=f"1.{number}")
        closed_at = AT + timedelta(minutes=number)
        sent = delivery.report.model_copy(update={"ClosedAt": closed_at})
        made.append(replace(delivery, report=sent))
        journal.record([(revision, made[-1])])
    assert journal.tally().oldest_pending_at == AT
    deliver(journal, made[0])
    assert journal.tally().oldest_pending_at == AT + timedelta(minutes=1)
    bury(journal, made[1])
    assert journal.tally().oldest_pending_at is None


def test_copies_that_are_owed_or_dead_must_be_in_the_spool(journal):
    first = record(journal, "1", "2")
    record(journal, "3", conflicting={InstanceCopy("1", OTHER)})
    assert set(journal.owed_copies()) == {
        ("1.2", copy) for copy in copies("1", "2", "3") | copies("1", digest=OTHER)
    }
    deliver(journal, first)
    other = record(journal, "1", series="1.4")
    bury(journal, other)
    assert set(journal.owed_copies()) == {
        ("1.2", InstanceCopy("3", DIGEST)),
        ("1.2", InstanceCopy("1", OTHER)),
        ("1.4", InstanceCopy("1", DIGEST)),
    }
    journal.discard(other.delivery_id, AT)
    assert {uid for uid, _ in journal.owed_copies()} == {"1.2"}


def test_pending_deliveries_are_listed_with_why_the_latest_attempt_failed(journal):
    first, second = record(journal, "1", "2"), record(journal, "1", series="1.4")
    journal.settle([Outcome(first, DOWN)], AT)
    assert journal.pending(10) == [
        PendingDelivery(first.delivery_id, "1.2", 1, 2, 1, "down"),
        PendingDelivery(second.delivery_id, "1.4", 1, 1, 0, ""),
    ]
    assert journal.pending(1) == journal.pending(10)[:1]
    bury(journal, first)
    deliver(journal, second)
    assert journal.pending(10) == []


def statistics(number):
    return SenderStatistics(
        f"10.0.0.{number}",
        f"MR{number}",
        AT,
        LATER,
        stored=number,
        seconds=0.5,
        statuses=Counter({"A700": 2}),
        ended=Counter({"released": number}),
        pauses=PauseHistogram([number] * len(BOUNDS)),
    )


def test_senders_are_kept_in_their_order_instead_of_those_before(journal):
    assert journal.senders() == ([], None)
    journal.keep_senders([statistics(1), statistics(2)], 1.0)
    assert journal.senders() == ([statistics(1), statistics(2)], 1.0)
    journal.keep_senders([statistics(3)], 2.5)
    assert journal.senders() == ([statistics(3)], 2.5)


@pytest.mark.parametrize(
    "damaged", [b"{", b"\xff", b"{}", b'{"host": 5}', b"[]", b'{"pauses": {"counts": [1]}}']
)
def test_sender_whose_statistics_are_damaged_is_left_out(tmp_path, damaged):
    path = tmp_path / "journal.db"
    with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
        journal.keep_senders([statistics(1), statistics(2)], 1.0)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE sender SET statistics = CAST(? AS TEXT) WHERE place = 0", (damaged,)
        )
    with contextlib.closing(SqliteJournal(path, is_expected=True)) as journal:
        assert journal.senders() == ([statistics(2)], 1.0)
