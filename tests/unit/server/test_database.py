"""From a database URL to a store, or to one line that says what is wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from tests.unit.server.examples import report, ticking_clock

from seriesgate.server.registry.store import DatabaseUnusable
from seriesgate.server.sql.opening import open_store, utc_now


def refusal(database_url):
    with pytest.raises(DatabaseUnusable) as caught:
        open_store(database_url)
    message = str(caught.value)
    assert "\n" not in message
    return message


def close(store):
    asyncio.run(store.close())


def test_file_is_made_and_found_again(tmp_path):
    url = f"sqlite:///{tmp_path}/series data ü%20?.db".replace("?", "")
    store = open_store(url, clock=ticking_clock())
    asyncio.run(store.register(report()))
    close(store)
    store = open_store(url, clock=ticking_clock())
    assert asyncio.run(store.get("1.2")) is not None
    close(store)


def test_relative_path_is_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    close(open_store("sqlite:///series_data.db"))
    assert (tmp_path / "series_data.db").stat().st_size > 0


def test_clock_gives_the_time_of_arrival(tmp_path):
    clock = ticking_clock()
    store = open_store(f"sqlite:///{tmp_path}/a.db", clock=clock)
    row = asyncio.run(store.register(report())).series
    close(store)
    assert (clock() - row.ReceivedAt).total_seconds() == 1


def test_usual_clock_is_aware():
    assert utc_now().utcoffset() is not None


@pytest.mark.parametrize(
    "url", ["", "series_data.db", "sqlite//x.db", "://", "sqlite:///a:b@c:d:e"]
)
def test_what_is_no_url_is_answered_with_an_example(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if url.startswith("sqlite:///"):
        close(open_store(url))
    else:
        assert "sqlite:///series_data.db" in refusal(url)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", "sqlite:///x?a=b"],
)
def test_url_must_name_a_file(url):
    assert "must name a file" in refusal(url)


def test_other_database_is_named_without_the_password():
    message = refusal("oracle://user:hunter2@host/db")
    assert "'oracle'" in message
    assert "hunter2" not in message
    assert "hunter2" not in refusal("oracle://user:hunter2@host:port/db")


def test_missing_folder(tmp_path):
    path = tmp_path / "missing" / "series_data.db"
    assert refusal(f"sqlite:///{path}") == f"database {path}: No such file or directory"


def test_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "folder").mkdir()
    assert "unable to open database file" in refusal(f"sqlite:///{tmp_path}/folder")


def test_file_that_is_no_database(tmp_path):
    path = tmp_path / "series_data.db"
    path.write_text("PatientName,PatientID\n" * 1000)
    assert refusal(f"sqlite:///{path}") == f"database {path}: file is not a database"
    assert path.read_text().startswith("PatientName,PatientID\n")


@pytest.mark.fault("F34")
def test_database_of_a_newer_program(tmp_path):
    path = tmp_path / "series_data.db"
    close(open_store(f"sqlite:///{path}"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "newer version" in refusal(f"sqlite:///{path}")


def test_database_in_use_by_another_server(tmp_path):
    url = f"sqlite:///{tmp_path}/series_data.db"
    first = open_store(url)
    assert "another server is using it" in refusal(url)
    close(first)
    close(open_store(url))


def test_nothing_is_left_open(tmp_path):
    def open_things():
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    def use_and_fail():
        url = f"sqlite:///{tmp_path}/series_data.db"
        store = open_store(url)
        refusal(url)
        asyncio.run(store.register(report()))
        close(store)
        refusal(f"sqlite:///{tmp_path}/missing/series_data.db")

    use_and_fail()
    before = open_things()
    for _ in range(5):
        use_and_fail()
    assert open_things() == before


def test_refusal_lets_go_of_the_file(tmp_path):
    path = tmp_path / "series_data.db"
    path.write_text("no database" * 1000)
    refusal(f"sqlite:///{path}")
    path.unlink()
    close(open_store(f"sqlite:///{path}"))
