"""What SQLite's upkeep does while there is nothing else to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.server.examples import START, report

from seriesgate.server.sql import sqlite_upkeep
from seriesgate.server.sql.register import PostedReport, register_group
from seriesgate.server.sql.schema import upgrade
from seriesgate.server.sql.sqlite import sqlite_engine
from seriesgate.server.sql.sqlite_upkeep import SqliteUpkeep


@pytest.fixture
def engine(tmp_path):
    engine = sqlite_engine(tmp_path / "series_data.db")
    upgrade(engine, START)
    yield engine
    engine.dispose()


def post(engine, number):
    with engine.begin() as connection:
        sent = report(SeriesInstanceUID=f"1.{number}", PatientName=f"Doe^Jane^{number}")
        register_group(connection, [PostedReport(sent, None, START)])


def parts(engine):
    """How many parts the index of texts has: FTS5 names them in its own table."""
    with engine.begin() as connection:
        return connection.execute(
            text("SELECT count(DISTINCT segid) FROM series_text_idx")
        ).scalar()


def test_parts_of_the_index_of_texts_are_merged_by_the_upkeep_and_by_no_write(engine):
    for number in range(12):
        post(engine, number)
    assert parts(engine) == 12
    upkeep = SqliteUpkeep(engine)
    steps = 0
    while upkeep.step():
        steps += 1
    assert steps >= 1
    assert parts(engine) < 4
    with engine.begin() as connection:
        found = text("SELECT count(*) FROM series_text WHERE series_text MATCH '\"jan\"'")
        assert connection.execute(found).scalar() == 12


def test_now_and_then_the_log_is_written_back(engine, monkeypatch):
    """So that no write has to do it: all of the log is in the database then."""
    monkeypatch.setattr(sqlite_upkeep, "_CHECKPOINT_EVERY", 2)
    upkeep = SqliteUpkeep(engine)
    path = Path(engine.url.database)
    sizes = []
    for number in range(2):
        post(engine, number)
        assert upkeep.step() is False
        sizes.append(path.stat().st_size)  # to open and close it would drop SQLite's locks
    assert sizes[0] < sizes[1]


def test_the_log_is_written_back_in_the_middle_of_a_long_merge(engine, monkeypatch):
    """Else it would grow until a write has to do it."""
    monkeypatch.setattr(sqlite_upkeep, "_CHECKPOINT_EVERY", 1)
    for number in range(12):
        post(engine, number)
    path = Path(engine.url.database)
    before = path.stat().st_size
    assert SqliteUpkeep(engine).step() is True
    assert path.stat().st_size > before
