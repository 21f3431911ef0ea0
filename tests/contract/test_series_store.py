"""What every SeriesStore promises."""

from __future__ import annotations

import asyncio
import json
import random
from asyncio import run
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes_server import MemorySeriesStore
from tests.unit.server.examples import (
    AWKWARD_TEXTS,
    EVERY_FIELD,
    START,
    report,
    reports_of_two_series,
    ticking_clock,
)

from seriesgate.series.report import Series
from seriesgate.server.registry.merge import canonical_json
from seriesgate.server.registry.query import Attribute, OneOf, SeriesFilter
from seriesgate.server.registry.store import (
    NoOtherReport,
    Outcome,
    SeriesContradiction,
    SeriesStore,
    StoreUnavailable,
)
from seriesgate.server.sql.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgresql import PostgresqlServer

ALL = SeriesFilter()


def wanted(**values: str) -> SeriesFilter:
    """Series that have each of these values."""
    return SeriesFilter(tuple(OneOf(Attribute(name), (value,)) for name, value in values.items()))


class Stores:
    """New, empty stores of one kind."""

    def __init__(self, kind: str, folder: Path, postgresql: PostgresqlServer) -> None:
        self._kind = kind
        self._folder = folder
        self._postgresql = postgresql
        self._numbers = count()
        self._opened: list[SeriesStore] = []
        self._databases: list[str] = []

    def open(self, clock: Callable[[], datetime] | None = None) -> SeriesStore:
        store = self._open(clock or ticking_clock())
        self._opened.append(store)
        return store

    def _open(self, clock: Callable[[], datetime]) -> SeriesStore:
        if self._kind == "memory":
            return MemorySeriesStore(clock)
        if self._kind == "sqlite":
            url = f"sqlite:///{self._folder}/{next(self._numbers)}.db"
        else:
            url = self._postgresql.migrated_database()
            self._databases.append(url)
        return open_store(url, clock=clock)

    def close(self) -> None:
        """Close all that were opened."""
        for store in self._opened:
            run(store.close())
        for database in self._databases:
            self._postgresql.give_back(database)
        self._opened, self._databases = [], []


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def stores(request, tmp_path, postgresql):
    stores = Stores(request.param, tmp_path, postgresql)
    yield stores
    stores.close()


@pytest.fixture
def store(stores):
    return stores.open()


def content(store):
    """All that a store has, but for the times and keys, which do tell the order of arrival."""

    async def read():
        rows = (await store.page(ALL, limit=100)).series
        entries = [await store.history(row.SeriesInstanceUID, limit=100) for row in rows]
        return (
            {canonical_json(row) for row in rows},
            {entry.report for of_series in entries for entry in of_series},
        )

    return run(read())


async def register_all(store, reports):
    return await asyncio.gather(*(store.register(each) for each in reports))


def test_unknown_series_is_none(store):
    assert run(store.get("1.2")) is None
    assert run(store.history("1.2", limit=10)) == []
    assert run(store.page(ALL, limit=10)).series == []


def test_new_series_is_kept_with_all_its_fields(store):
    sent = Series.model_validate(EVERY_FIELD)
    registration = run(store.register(sent))
    assert registration.outcome is Outcome.CREATED
    kept = run(store.get("1.2"))
    assert kept == registration.series
    assert Series.model_validate(kept.model_dump()) == sent
    assert kept.ReceivedAt == kept.UpdatedAt


@pytest.mark.parametrize("text", AWKWARD_TEXTS)
def test_text_comes_back_as_it_was(store, text):
    run(store.register(report(PatientName=text, PatientID=text, SeriesDescription=text)))
    kept = run(store.get("1.2"))
    assert (kept.PatientName, kept.PatientID, kept.SeriesDescription) == (text, text, text)
    (entry,) = run(store.history("1.2", limit=10))
    assert json.loads(entry.report)["PatientName"] == text
    assert run(store.page(wanted(PatientID=text), limit=10)).series == [kept]


@pytest.mark.parametrize("uid", ["1.2", "x/y?z#%2F", "';--", '"', "1" * 128])
def test_any_uid_of_the_contract_is_a_key(store, uid):
    run(store.register(report(SeriesInstanceUID=uid)))
    assert run(store.get(uid)).SeriesInstanceUID == uid
    assert run(store.get(uid + "0")) is None


@pytest.mark.parametrize("field", ["InstancesInSeries", "Revision", "AddedInstances"])
def test_greatest_numbers_are_kept(store, field):
    run(store.register(report(Bytes=2**63 - 1, SeriesNumber=-(2**31), **{field: 2**31 - 1})))
    kept = run(store.get("1.2"))
    assert (getattr(kept, field), kept.Bytes) == (2**31 - 1, 2**63 - 1)


def test_times_are_kept_as_moments(store):
    run(store.register(report(ClosedAt="2026-01-01T12:00:00.000001+05:30")))
    kept = run(store.get("1.2"))
    assert kept.ClosedAt == datetime(2026, 1, 1, 6, 30, 0, 1, tzinfo=UTC)
    assert kept.ReceivedAt.tzinfo is UTC


def test_same_report_again_changes_nothing_and_is_one_entry(store):
    first = run(store.register(report(), "key-1"))
    again = run(store.register(report(), "key-2"))
    assert again.outcome is Outcome.UNCHANGED
    assert again.series == first.series
    (entry,) = run(store.history("1.2", limit=10))
    assert (entry.idempotency_key, entry.received_at) == ("key-1", first.series.ReceivedAt)


def test_one_key_for_several_reports_loses_none_of_them(store):
    run(store.register(report(InstancesInSeries=1), "key"))
    run(store.register(report(InstancesInSeries=2), "key"))
    assert len(run(store.history("1.2", limit=10))) == 2


def test_update_is_the_row_from_then_on(store):
    first = run(store.register(report(InstancesInSeries=10))).series
    updated = run(store.register(report(InstancesInSeries=12)))
    assert updated.outcome is Outcome.UPDATED
    kept = run(store.get("1.2"))
    assert kept == updated.series
    assert kept.InstancesInSeries == 12
    assert kept.ReceivedAt == first.ReceivedAt < kept.UpdatedAt


def test_report_that_says_less_is_history_only(store):
    kept = run(store.register(report(InstancesInSeries=10))).series
    less = run(store.register(report(InstancesInSeries=9)))
    assert (less.outcome, less.series) == (Outcome.UNCHANGED, kept)
    newest, oldest = run(store.history("1.2", limit=10))
    assert json.loads(newest.report)["InstancesInSeries"] == 9
    assert json.loads(oldest.report)["InstancesInSeries"] == 10
    assert run(store.history("1.2", limit=1)) == [newest]


def test_contradiction_leaves_no_trace(store):
    run(store.register(report()))
    before = content(store)
    for field in ("StudyInstanceUID", "PatientID"):
        with pytest.raises(SeriesContradiction) as caught:
            run(store.register(report(InstancesInSeries=99, **{field: "other"})))
        assert caught.value.field == field
    assert content(store) == before


def test_contradiction_spoils_no_other_report(store):
    """They come at once, so a store may well take them in one transaction."""

    async def scenario():
        reports = [report(SeriesInstanceUID=f"1.{number}") for number in range(20)]
        contradictions = [
            report(SeriesInstanceUID=f"1.{number}", PatientID="other", InstancesInSeries=99)
            for number in range(0, 20, 2)
        ]
        return await asyncio.gather(
            *(store.register(each) for each in reports + contradictions), return_exceptions=True
        )

    answers = run(scenario())
    assert [answer.outcome for answer in answers[:20]] == [Outcome.CREATED] * 20
    assert [type(answer) for answer in answers[20:]] == [SeriesContradiction] * 10
    assert {row.PatientID for row in run(store.page(ALL, limit=100)).series} == {"A/17"}


@pytest.mark.fault("F33")
def test_thousand_reports_at_once_leave_one_right_row(store):
    reports = [report(InstancesInSeries=count) for count in range(1, 501)] * 2
    random.Random(1).shuffle(reports)
    answers = run(register_all(store, reports))
    outcomes = [answer.outcome for answer in answers]
    assert outcomes.count(Outcome.CREATED) == 1
    (row,) = run(store.page(ALL, limit=10)).series
    assert row.InstancesInSeries == 500
    assert len(run(store.history("1.2", limit=1000))) == 500


# Each example opens two databases.
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(reports_of_two_series, max_size=8), st.randoms(use_true_random=False))
def test_content_depends_neither_on_order_nor_on_repeats(stores, reports, randoms):
    one_by_one, at_once = stores.open(), stores.open()
    for each in reports:
        run(one_by_one.register(each))
    again = reports + randoms.choices(reports, k=3) if reports else []
    randoms.shuffle(again)
    run(register_all(at_once, again))
    assert content(one_by_one) == content(at_once)
    stores.close()


def uids(page):
    return [row.SeriesInstanceUID for row in page.series]


async def every_page(store, conditions, limit):
    pages, after = [], None
    while True:
        page = await store.page(conditions, limit=limit, after=after)
        pages.append(uids(page))
        after = page.following
        if after is None:
            return pages


def test_pages_are_newest_first_and_leave_out_nothing(store):
    for number in range(7):
        run(store.register(report(SeriesInstanceUID=f"1.{number}")))
    assert run(every_page(store, ALL, 3)) == [
        ["1.6", "1.5", "1.4"],
        ["1.3", "1.2", "1.1"],
        ["1.0"],
    ]
    assert run(every_page(store, ALL, 7)) == [[f"1.{number}" for number in range(6, -1, -1)]]


def test_series_that_came_at_the_same_time_are_paged_one_by_one(stores):
    store = stores.open(lambda: START)
    run(register_all(store, [report(SeriesInstanceUID=f"1.{number}") for number in range(5)]))
    pages = run(every_page(store, ALL, 1))
    assert [uid for page in pages for uid in page] == ["1.4", "1.3", "1.2", "1.1", "1.0"]


def test_position_stays_valid_while_series_come_and_change(store):
    for number in range(4):
        run(store.register(report(SeriesInstanceUID=f"1.{number}")))
    first = run(store.page(ALL, limit=2))
    run(store.register(report(SeriesInstanceUID="1.9")))
    run(store.register(report(SeriesInstanceUID="1.0", InstancesInSeries=99)))
    second = run(store.page(ALL, limit=2, after=first.following))
    assert (uids(first), uids(second)) == (["1.3", "1.2"], ["1.1", "1.0"])
    assert second.following is None


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (SeriesFilter(), ["1.3", "1.2", "1.1"]),
        (wanted(StudyInstanceUID="1.30"), ["1.3", "1.1"]),
        (wanted(PatientID="B"), ["1.3", "1.2"]),
        (wanted(Modality="CT"), ["1.3"]),
        (wanted(StudyInstanceUID="1.30", PatientID="B", Modality="CT"), ["1.3"]),
        (wanted(StudyInstanceUID="1.30", PatientID="A", Modality="CT"), []),
        (wanted(Modality=""), ["1.1"]),
        (wanted(PatientID="b"), []),
        (wanted(PatientID="%"), []),
    ],
)
def test_filters_are_exact_and_all_of_them_count(store, conditions, expected):
    for uid, study, patient, modality in (
        ("1.1", "1.30", "A", ""),
        ("1.2", "1.31", "B", "MR"),
        ("1.3", "1.30", "B", "CT"),
    ):
        fields = {"StudyInstanceUID": study, "PatientID": patient, "Modality": modality}
        run(store.register(report(SeriesInstanceUID=uid, **fields)))
    assert uids(run(store.page(conditions, limit=10))) == expected
    assert [uid for page in run(every_page(store, conditions, 1)) for uid in page] == expected


def test_closed_store_is_unavailable(store):
    run(store.register(report()))
    run(store.check())
    run(store.close())
    for call in (
        store.register(report()),
        store.get("1.2"),
        store.page(ALL, limit=1),
        store.check(),
    ):
        with pytest.raises(StoreUnavailable):
            run(call)
    run(store.close())


FROZEN = 2**31 - 1


def test_repaired_series_is_what_its_other_reports_say(store):
    true = report(InstancesInSeries=5, PatientName="True^Jane")
    run(store.register(true))
    run(store.register(report(InstancesInSeries=FROZEN, PatientName="False^Jane", Modality="XX")))
    run(store.register(report(InstancesInSeries=7, PatientName="True^Jane")))
    before = run(store.minutes(START - timedelta(days=1), START + timedelta(days=1)))
    repaired = run(store.repair("1.2", None))
    assert repaired.outcome is Outcome.UPDATED
    row = run(store.get("1.2"))
    assert row == repaired.series
    assert (row.InstancesInSeries, row.PatientName, row.Modality) == (7, "True^Jane", "")
    assert run(store.totals()).Instances == 7
    after = run(store.minutes(START - timedelta(days=1), START + timedelta(days=1)))
    assert sum(each.Instances for each in after) == sum(each.Instances for each in before)
    assert all(each.Instances >= 0 for each in after)
    (*_, change) = run(store.changes(0, limit=10))
    assert (change.outcome, change.series) == (Outcome.UPDATED, row)
    assert run(store.page(wanted(Modality="XX"), limit=9)).series == []
    assert len(run(store.history("1.2", limit=9))) == 3


def test_withdrawn_report_changes_nothing_when_it_comes_again(store):
    false = report(InstancesInSeries=FROZEN)
    run(store.register(report(InstancesInSeries=5)))
    run(store.register(false))
    row = run(store.repair("1.2", None)).series
    again = run(store.register(false))
    assert (again.outcome, again.series) == (Outcome.UNCHANGED, row)
    assert run(store.get("1.2")) == row
    assert run(store.register(report(InstancesInSeries=6))).outcome is Outcome.UPDATED


def test_repair_withdraws_all_reports_over_a_number(store):
    for number in (5, FROZEN - 2, FROZEN - 1, FROZEN):
        run(store.register(report(InstancesInSeries=number)))
    assert run(store.repair("1.2", 1000)).series.InstancesInSeries == 5
    assert run(store.repair("1.2", 1000)).outcome is Outcome.UNCHANGED


def test_series_that_has_no_other_report_is_not_repaired(store):
    assert run(store.repair("1.2", None)) is None
    run(store.register(report(InstancesInSeries=FROZEN)))
    with pytest.raises(NoOtherReport):
        run(store.repair("1.2", None))
    assert run(store.get("1.2")).InstancesInSeries == FROZEN
