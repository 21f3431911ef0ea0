"""How a SQLite file is opened."""

from __future__ import annotations

import sqlite3
import stat

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from seriesgate.server.registry.store import DatabaseUnusable
from seriesgate.server.sql import sqlite
from seriesgate.server.sql.sqlite import sqlite_engine


@pytest.fixture
def path(tmp_path):
    return tmp_path / "series_data.db"


@pytest.fixture
def engine(path):
    engine = sqlite_engine(path, busy_timeout=0.0)
    yield engine
    engine.dispose()


@pytest.fixture
def other(path, engine):
    """Another program's connection to the same file."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    yield connection
    connection.close()


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def pragma(engine, name):
    with engine.connect() as connection:
        return connection.execute(text(f"PRAGMA {name}")).scalar()


def test_commit_survives_power_loss(engine):
    """FULL (2) is what makes a commit to a write-ahead log durable; NORMAL (1) does not."""
    assert pragma(engine, "journal_mode") == "wal"
    assert pragma(engine, "synchronous") == 2


def test_new_files_are_their_owners_alone(path, other):
    assert {each.name: mode_of(each) for each in path.parent.iterdir()} == dict.fromkeys(
        ("series_data.db", "series_data.db-shm", "series_data.db-wal", "series_data.db.lock"), 384
    )
    assert other.execute("SELECT * FROM t").fetchall() == []


def test_mode_of_a_file_that_exists_is_left_alone(path):
    path.touch(0o640)
    path.chmod(0o640)
    sqlite_engine(path).dispose()
    assert mode_of(path) == 0o640


def test_other_mode_of_the_file_is_changed(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=TRUNCATE")
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    engine = sqlite_engine(path)
    assert pragma(engine, "journal_mode") == "wal"
    engine.dispose()


def test_second_server_is_refused_until_the_first_has_ended(path, engine):
    with pytest.raises(DatabaseUnusable, match="another server is using it"):
        sqlite_engine(path)
    assert pragma(engine, "journal_mode") == "wal"
    engine.dispose()
    second = sqlite_engine(path)
    assert pragma(second, "journal_mode") == "wal"
    second.dispose()


def test_others_read_while_the_server_writes(engine, other):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        assert other.execute("SELECT * FROM t").fetchall() == []
    assert other.execute("SELECT * FROM t").fetchall() == [(1,)]


def test_transaction_holds_the_write_lock_from_its_beginning(engine, other):
    with engine.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("INSERT INTO t VALUES (1)")
    other.execute("INSERT INTO t VALUES (1)")


def test_reading_transaction_needs_no_write_lock(engine, other):
    other.execute("BEGIN IMMEDIATE")
    with engine.execution_options(read_only=True).begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
    with pytest.raises(OperationalError, match="locked"), engine.begin():
        pass


def test_change_of_the_schema_is_rolled_back_with_its_transaction(engine, other):
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE u (a)"))
        connection.rollback()
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]


def test_error_does_not_name_the_values(engine, other):
    other.execute("CREATE UNIQUE INDEX i ON t (a)")
    insert = text("INSERT INTO t VALUES (:a)")
    with pytest.raises(Exception, match="UNIQUE") as caught, engine.begin() as connection:
        connection.execute(insert, [{"a": "Doe^Jane"}, {"a": "Doe^Jane"}])
    assert "Doe" not in str(caught.value)


def test_setting_that_sqlite_does_not_take_is_an_error(path, monkeypatch):
    monkeypatch.setitem(sqlite._PRAGMAS, "page_size", 3)
    engine = sqlite_engine(path)
    with pytest.raises(DatabaseUnusable, match="can't set page_size to 3"):
        engine.connect()
    engine.dispose()


def test_journal_mode_that_can_not_be_set_is_an_error(path):
    """Here as another program holds the file; elsewhere as a network share can't have a log."""
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("CREATE TABLE t (a)")
    reader.execute("BEGIN EXCLUSIVE")
    engine = sqlite_engine(path, busy_timeout=0.0)
    with pytest.raises(OperationalError, match="locked"):
        engine.connect()
    reader.close()
    engine.dispose()
