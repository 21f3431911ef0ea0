"""From every older schema to that of this program, without loss."""

from __future__ import annotations

import json
import sqlite3
from asyncio import run

import pytest
from sqlalchemy import create_engine, text
from tests.integration.schema_check import differences
from tests.unit.server.examples import START, report, ticking_clock

from seriesgate.server.registry.query import SeriesFilter
from seriesgate.server.registry.store import DatabaseUnusable, Outcome
from seriesgate.server.sql.opening import open_store
from seriesgate.server.sql.schema import upgrade
from seriesgate.server.sql.sqlite import sqlite_engine
from seriesgate.server.sql.tables import metadata

ORIGINAL = """
    CREATE TABLE series_data (
        SeriesInstanceUID TEXT PRIMARY KEY,
        PatientName TEXT,
        PatientID INTEGER,
        StudyInstanceUID TEXT,
        InstancesInSeries INTEGER
    )
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "series_data.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


def original_database(path, rows, create=ORIGINAL):
    with sqlite3.connect(path) as connection:
        connection.execute(create)
        connection.executemany("INSERT INTO series_data VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()


def query(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def opened_rows(url):
    """The rows, and of each the reports in its history, that a store finds."""

    async def read(store):
        rows = (await store.page(SeriesFilter(), limit=10_000)).series
        history = {
            row.SeriesInstanceUID: await store.history(row.SeriesInstanceUID, limit=100)
            for row in rows
        }
        await store.close()
        return {row.SeriesInstanceUID: row for row in rows}, history

    return run(read(open_store(url, clock=ticking_clock())))


def table_definitions(engine):
    with engine.begin() as connection:
        names = ("sqlite_master", "alembic_version")
        rows = connection.execute(
            text("SELECT name, type, tbl_name FROM sqlite_master WHERE tbl_name NOT IN (:a, :b)"),
            dict(zip("ab", names, strict=True)),
        ).all()
        columns = {
            row.name: connection.execute(text(f'PRAGMA table_info("{row.name}")')).all()
            for row in rows
            if row.type == "table"
        }
        return set(rows), columns


@pytest.mark.parametrize("start", ["empty", "original"])
def test_migrated_schema_is_that_of_the_program(path, tmp_path, start):
    if start == "original":
        original_database(path, [("1.2", "Doe^Jane", 17, "1.3", 5)])
    migrated = sqlite_engine(path)
    upgrade(migrated, START)
    fresh = create_engine(f"sqlite:///{tmp_path}/fresh.db")
    metadata.create_all(fresh)
    with migrated.connect() as connection:
        assert differences(connection) == []
    assert table_definitions(migrated) == table_definitions(fresh)
    migrated.dispose()
    fresh.dispose()


def test_schema_check_sees_a_difference(path):
    """The check above can fail: it does when a column, a type or an index is another."""
    engine = sqlite_engine(path)
    upgrade(engine, START)
    for change in (
        'ALTER TABLE series_data ADD COLUMN "More" TEXT',
        "DROP INDEX ix_series_index_study",
    ):
        with engine.begin() as connection:
            connection.execute(text(change))
            assert differences(connection)
            connection.rollback()
    engine.dispose()


def test_upgrade_of_an_upgraded_database_changes_nothing(path, url):
    run(open_store(url).close())
    before = query(path, "SELECT type, name, sql FROM sqlite_master ORDER BY name")
    run(open_store(url).close())
    assert query(path, "SELECT type, name, sql FROM sqlite_master ORDER BY name") == before


def test_columns_of_the_plan_come_first(path, url):
    run(open_store(url).close())
    columns = query(path, "PRAGMA table_info(series_data)")
    assert [(name, kind, key) for _, name, kind, _, _, key in columns][:5] == [
        ("SeriesInstanceUID", "TEXT", 1),
        ("PatientName", "TEXT", 0),
        ("PatientID", "TEXT", 0),
        ("StudyInstanceUID", "TEXT", 0),
        ("InstancesInSeries", "INTEGER", 0),
    ]


def test_database_of_the_original_plan_is_taken_over(path, url):
    names = ["Doe^Jane", "山田^太郎", "קֹ^x", "'; DROP TABLE series_data"]
    original_database(
        path, [(f"1.{n}", name, 10**n, f"2.{n}", n + 1) for n, name in enumerate(names)]
    )
    rows, history = opened_rows(url)
    assert len(rows) == len(names)
    for n, name in enumerate(names):
        row = rows[f"1.{n}"]
        assert (row.PatientName, row.PatientID) == (name, str(10**n))
        assert (row.StudyInstanceUID, row.InstancesInSeries) == (f"2.{n}", n + 1)
        assert (row.Revision, row.Modality, row.MissingInstanceNumbers) == (1, "", [])
        assert row.ReceivedAt == row.UpdatedAt == START
        (entry,) = history[f"1.{n}"]
        assert json.loads(entry.report) == {
            "SeriesInstanceUID": f"1.{n}",
            "PatientName": name,
            "PatientID": str(10**n),
            "StudyInstanceUID": f"2.{n}",
            "InstancesInSeries": n + 1,
        }


def test_series_of_the_original_plan_goes_on(path, url):
    original_database(path, [("1.2", "Doe^Jane", 17, "1.3", 5)])
    store = open_store(url)
    assert run(store.register(report(PatientID=17, InstancesInSeries=4))).series.PatientID == "17"
    more = run(store.register(report(PatientID="17", InstancesInSeries=6)))
    assert (more.outcome, more.series.InstancesInSeries) == (Outcome.UPDATED, 6)
    run(store.close())


def test_patient_id_that_is_no_number_was_text_before_and_stays_so(path, url):
    original_database(path, [("1.2", "Doe^Jane", "A/17", "1.3", 5), ("1.4", "X", "0 17", "1.5", 1)])
    rows, _ = opened_rows(url)
    assert (rows["1.2"].PatientID, rows["1.4"].PatientID) == ("A/17", "0 17")


def test_null_becomes_empty_and_an_unknown_count_less_than_any(path, url):
    original_database(path, [("1.2", None, None, None, None)])
    rows, _ = opened_rows(url)
    row = rows["1.2"]
    assert (row.PatientName, row.PatientID, row.StudyInstanceUID) == ("", "", "")
    assert row.InstancesInSeries == 0


def test_table_without_primary_key_loses_no_row(path, url):
    """Of several rows of a series the one with the most instances is the row; all are history."""
    create = ORIGINAL.replace(" PRIMARY KEY", "")
    counts = [3, 7, 5, 7]
    original_database(
        path,
        [("1.2", "Doe^Jane", 17, "1.3", count) for count in counts]
        + [(f"1.9.{n}", "X", n, "1.3", 1) for n in range(1500)],
        create,
    )
    rows, history = opened_rows(url)
    assert rows["1.2"].InstancesInSeries == 7
    kept = {json.loads(entry.report)["InstancesInSeries"] for entry in history["1.2"]}
    assert kept == {3, 5, 7}
    assert query(path, "SELECT count(*) FROM series_data") == [(1501,)]


def test_row_without_series_is_not_dropped_but_refused(path, url):
    original_database(path, [(None, "Doe^Jane", 17, "1.3", 5), ("1.2", "X", 1, "1.3", 5)])
    with pytest.raises(DatabaseUnusable, match="no SeriesInstanceUID"):
        open_store(url)
    assert query(path, "SELECT count(*) FROM series_data") == [(2,)]
    assert query(path, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("series_data",)]


@pytest.mark.parametrize(
    "create",
    [
        "CREATE TABLE series_data (SeriesInstanceUID, PatientName, PatientID, StudyInstanceUID, N)",
        "CREATE TABLE series_data (a, b, c, d, e)",
    ],
)
def test_table_of_another_program_is_left_alone(path, url, create):
    original_database(path, [(1, 2, 3, 4, 5)], create)
    with pytest.raises(DatabaseUnusable, match="some other program"):
        open_store(url)
    assert query(path, "SELECT * FROM series_data") == [(1, 2, 3, 4, 5)]


def test_failed_upgrade_leaves_the_database_as_it_was(path, url):
    """One transaction: a crash or a full disk half-way is as if nothing had happened."""
    original_database(path, [("1.2", "Doe^Jane", 17, "1.3", 5)])
    before = query(path, "SELECT * FROM series_data")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE series_reports (in_the_way)")
    connection.close()
    with pytest.raises(DatabaseUnusable, match="series_reports already exists"):
        open_store(url)
    assert query(path, "SELECT * FROM series_data") == before
    assert query(path, "SELECT name FROM sqlite_master WHERE name LIKE 'alembic%'") == []
