"""The SQL store when its database fails, or is shared."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from asyncio import run

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.exc import IntegrityError, OperationalError
from tests.unit.server.examples import START, report, ticking_clock

from seriesgate.server.registry.query import SeriesFilter
from seriesgate.server.registry.store import Outcome, StoredSeries, StoreUnavailable
from seriesgate.server.sql.database import SqlDatabase
from seriesgate.server.sql.prepared import Prepared
from seriesgate.server.sql.register import PostedReport, register_group
from seriesgate.server.sql.schema import upgrade
from seriesgate.server.sql.series_store import SqlSeriesStore
from seriesgate.server.sql.sqlite import sqlite_engine
from seriesgate.server.sql.tables import series_data, series_reports

SECRET = "Zyxwvut^Secret"


@pytest.fixture
def engine(tmp_path):
    engine = sqlite_engine(tmp_path / "series_data.db", busy_timeout=0.0)
    upgrade(engine, START)
    return engine


@pytest.fixture
def store(engine):
    store = SqlSeriesStore(SqlDatabase(engine, register_group), ticking_clock())
    yield store
    run(store.close())


@pytest.fixture
def other(engine):
    """Another program's connection to the same file."""
    connection = sqlite3.connect(engine.url.database, timeout=0.0, isolation_level=None)
    yield connection
    connection.close()


def test_columns_of_the_table_are_the_fields_of_the_row():
    assert {column.name for column in series_data.columns} == StoredSeries.model_fields.keys()


@pytest.mark.fault("F32")
def test_locked_database_is_unavailable_and_comes_back(store, other):
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        run(store.register(report()))
    with pytest.raises(StoreUnavailable):
        run(store.check())
    assert run(store.get("1.2")) is None
    other.execute("ROLLBACK")
    run(store.check())
    assert run(store.register(report())).outcome is Outcome.CREATED


def test_full_disk_is_unavailable_and_leaves_no_part_of_a_report(store, engine, other):
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count={pages}"))
    answers = run(fill(store))
    refused = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
    assert refused
    kept = {answer.series.SeriesInstanceUID for answer in answers if answer not in refused}
    rows = {uid for (uid,) in other.execute("SELECT SeriesInstanceUID FROM series_data")}
    entries = {uid for (uid,) in other.execute("SELECT SeriesInstanceUID FROM series_reports")}
    assert kept == rows == entries
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count=1000000"))
    assert run(store.register(report())).outcome is Outcome.CREATED


async def fill(store):
    answers: list[object] = []
    for number in range(100):
        sent = report(SeriesInstanceUID=f"1.{number}.9", SeriesDescription="x" * 1000)
        answers += await asyncio.gather(store.register(sent), return_exceptions=True)
    return answers


def test_trouble_is_logged_once_and_so_is_its_end(store, other, caplog):
    caplog.set_level(logging.INFO, "seriesgate.server")
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            run(store.register(report(PatientName=SECRET)))
    other.execute("ROLLBACK")
    for _ in range(2):
        run(store.register(report(PatientName=SECRET)))
    assert [record.getMessage() for record in caplog.records] == [
        "the database can't be used: database is locked",
        "the database can be used again",
    ]


def test_report_that_the_database_refuses_spoils_no_other(engine):
    """No report is known that does; the group must not depend on it."""

    def choke(connection, group):
        answers = register_group(connection, group)
        if any(posted.report.SeriesInstanceUID == "1.66" for posted in group):
            raise OverflowError("Python int too large")
        return answers

    store = SqlSeriesStore(SqlDatabase(engine, choke), ticking_clock())

    async def scenario():
        reports = [report(SeriesInstanceUID=uid) for uid in ("1.1", "1.66", "1.2")]
        return await asyncio.gather(*(store.register(r) for r in reports), return_exceptions=True)

    first, refused, last = run(scenario())
    assert type(refused) is OverflowError
    assert first.outcome is last.outcome is Outcome.CREATED
    page = run(store.page(SeriesFilter(), limit=10))
    assert {row.SeriesInstanceUID for row in page.series} == {"1.1", "1.2"}
    run(store.close())


def test_series_that_another_server_adds_meanwhile_is_merged_with_its_row(engine):
    """On a database with row locks two servers may both find a series new."""
    calls = []

    def find_it_new_once(connection, group):
        calls.append(len(group))
        if len(calls) == 1:
            register_group(connection, [PostedReport(report(Modality="MR"), None, START)])
            connection.commit()
            raise IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE"))
        return register_group(connection, group)

    store = SqlSeriesStore(SqlDatabase(engine, find_it_new_once), ticking_clock())
    registration = run(store.register(report(InstancesInSeries=11)))
    run(store.close())
    assert registration.outcome is Outcome.UPDATED
    assert calls == [1, 1]


def test_row_is_locked_on_a_database_that_locks_rows():
    """SQLite has no such locks, its transactions come one by one; PostgreSQL needs the words."""
    from sqlalchemy.dialects import postgresql

    from seriesgate.server.sql.register import _SELECT_ROWS

    assert str(_SELECT_ROWS.compile(dialect=postgresql.dialect())).endswith("FOR UPDATE")


def test_group_takes_the_same_few_statements_whatever_its_size(engine, monkeypatch):
    statements = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_):
        statements.append(statement.split()[0])

    # These go past SQLAlchemy.
    compiled = Prepared._compiled

    def noted(prepared, dialect):
        statements.append(str(prepared._statement).split()[0])
        return compiled(prepared, dialect)

    monkeypatch.setattr(Prepared, "_compiled", noted)

    def register(*numbers):
        statements.clear()
        group = [PostedReport(report(SeriesInstanceUID=f"1.{n}"), None, START) for n in numbers]
        with engine.begin() as connection:
            register_group(connection, group)
        return [*statements]

    assert register(1) == [
        *("BEGIN", "SELECT", "SELECT", "SELECT"),  # totals, known series, deleted series
        *("INSERT", "INSERT"),  # row, history
        *("SELECT", "SELECT", "INSERT", "INSERT"),  # studies, patients, index, texts
        *("INSERT", "UPDATE"),  # change, totals
        "INSERT",  # minute
    ]
    assert register(*range(2, 200)) == register(300)
    assert register(*range(1, 200)) == ["BEGIN", "SELECT", "SELECT", "SELECT", "SELECT"]
    engine.dispose()


def test_error_of_the_driver_is_raised_as_sqlalchemy_would(engine):
    row = {"DoesNot": "matter"}
    with engine.begin() as connection:
        for prepared in (Prepared(text("SELECT * FROM nowhere")), Prepared(text("DELETE nowhere"))):
            with pytest.raises(OperationalError) as raised:
                prepared.run(connection, row)
            assert "nowhere" in str(raised.value.orig)
        with pytest.raises(OperationalError):
            Prepared(text("SELECT * FROM nowhere")).fetch(connection, row)
        add_report = Prepared(insert(series_reports), series_reports.columns.keys())
        entry = {"SeriesInstanceUID": "1.2", "Digest": "d", "ReceivedAt": START, "Report": SECRET}
        with pytest.raises(IntegrityError) as twice:
            add_report.run(connection, *[entry | {"IdempotencyKey": None, "WithdrawnAt": None}] * 2)
    assert SECRET not in str(twice.value)
    engine.dispose()


def test_time_without_zone_is_never_stored(engine):
    row = {"Digest": "d", "SeriesInstanceUID": "1.2", "Report": "{}"}
    naive = START.replace(tzinfo=None)
    with pytest.raises(Exception, match="time without time zone"), engine.begin() as connection:
        connection.execute(insert(series_reports), row | {"ReceivedAt": naive})
    engine.dispose()
