"""A backup of the SQLite database while a server writes to it."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from contextlib import closing

import pytest
from tests.unit.server.examples import report
from typer.testing import CliRunner

from seriesgate.cli import app
from seriesgate.server.sql.backup import BackupFailed, back_up
from seriesgate.server.sql.opening import open_store


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/series_data.db"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "backup.db"


def run(*command):
    return CliRunner().invoke(app, [*command])


def counts(path):
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("series_data", "series_reports")
        ]


async def register(store, first, last):
    await asyncio.gather(
        *(store.register(report(SeriesInstanceUID=f"1.{n}")) for n in range(first, last))
    )


def test_backup_taken_while_the_server_writes_is_whole(url, target):
    async def scenario():
        store = open_store(url)
        await register(store, 0, 1000)
        command = ("-m", "seriesgate", "db", "backup", str(target), "--database-url", url)
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        ending = asyncio.create_task(process.wait())
        written = 1000
        while not ending.done():
            await register(store, written, written + 100)
            written += 100
        assert ending.result() == 0
        await store.close()
        return written

    written = asyncio.run(scenario())
    rows, entries = counts(target)
    assert 1000 < rows < written
    assert rows == entries, "a moment between two commits"
    store = open_store(f"sqlite:///{target}")
    assert asyncio.run(store.get("1.1000")) is not None
    asyncio.run(store.close())
    assert counts(url.removeprefix("sqlite:///")) == [written, written]


def test_backup_is_one_file_of_its_owner_alone(url, target, tmp_path):
    asyncio.run(open_store(url).close())
    done = run("db", "backup", str(target), "--database-url", url)
    assert (done.exit_code, done.output) == (0, f"the backup is {target}\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup.db"]
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_backup_has_what_is_only_in_the_log_of_a_server_that_was_killed(url, target, tmp_path):
    """The database file itself is still empty then."""
    store = open_store(url)
    asyncio.run(register(store, 0, 10))
    for name in ("series_data.db", "series_data.db-wal"):
        (tmp_path / f"killed-{name}").write_bytes((tmp_path / name).read_bytes())
    asyncio.run(store.close())
    back_up(f"sqlite:///{tmp_path}/killed-series_data.db", target)
    assert counts(target) == [10, 10]


def test_file_that_exists_is_never_overwritten(url, target):
    asyncio.run(open_store(url).close())
    target.write_text("precious")
    done = run("db", "backup", str(target), "--database-url", url)
    assert done.exit_code == 1
    assert "exists already" in done.output
    assert target.read_text() == "precious"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////nowhere/series_data.db", "unable to open"),
        ("postgresql://u:hunter2@host/db", "pg_dump"),
        ("no url", "can't be read"),
    ],
)
def test_what_can_not_be_backed_up(url, reason, target, tmp_path):
    with pytest.raises(BackupFailed, match=reason) as caught:
        back_up(url, target)
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_damaged_database_gives_no_backup(url, target, tmp_path):
    store = open_store(url)
    asyncio.run(register(store, 0, 500))
    asyncio.run(store.close())
    path = tmp_path / "series_data.db"
    content = bytearray(path.read_bytes())
    content[8192 : 8192 + 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(BackupFailed):
        back_up(url, target)
    assert not target.exists()


def test_folder_that_does_not_exist(url, tmp_path):
    asyncio.run(open_store(url).close())
    with pytest.raises(BackupFailed, match="No such file"):
        back_up(url, tmp_path / "missing" / "backup.db")
