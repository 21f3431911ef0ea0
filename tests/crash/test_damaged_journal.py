"""F28: the journal is lost, cut, zeroed, overwritten, or a bit of it flips; nothing owed is lost.

What was delivered is at the server; what is owed has its files in the spool, and is reported anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.crash.invariants import check_no_others, check_row
from tests.crash.recovery import run_to_the_end
from tests.crash.scenario import Pass, Send, Serve, Step, play
from tests.crash.site import Answer, Process, Site

from seriesgate.adapters.journal.journal_file import JournalUnusable
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.simulated_disk import Image

PAGE = 4096
SEED = int(os.environ.get("SEED", "4"))
EXHAUSTIVE = os.environ.get("EXHAUSTIVE") == "1"
DELIVERED, OWED = "1.2.1", "1.2.2"
BEGINNING: tuple[Step, ...] = (
    *(Send(DELIVERED, number) for number in range(1, 40)),
    Pass(3.0),
    Serve((Answer.DOWN,) * 9),
    *(Send(OWED, number) for number in range(1, 40)),
    Pass(3.0),
    Send(OWED, 40),
)


class Stopped(Exception):
    """The gateway has stopped and said why, as it does when the journal fails."""


class Remains(NamedTuple):
    """What a gateway has left that died while it owed a series."""

    folder: Path
    image: Image
    site: Site


@pytest.fixture(scope="module")
def remains(tmp_path_factory):
    """The journal is there with and without its WAL: as after a death, and after an orderly end."""
    folder = tmp_path_factory.mktemp("journal")
    path = folder / "running" / "journal.db"
    path.parent.mkdir()
    with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
        site = Site(journal=journal)
        asyncio.run(play(site, Process(), BEGINNING))
        shutil.copytree(path.parent, folder / "died")
    shutil.copytree(path.parent, folder / "ended")
    assert (folder / "died" / "journal.db-wal").stat().st_size > PAGE
    assert not (folder / "ended" / "journal.db-wal").exists()
    assert site.server.rows.keys() == {DELIVERED}
    return Remains(folder, site.disk.image(), site)


def restart(remains: Remains, path: Path) -> Site:
    """Start a gateway on the spool and this journal; everything must get to the server."""
    with contextlib.closing(SqliteJournal(path, is_expected=True)) as journal:
        site = Site(journal=journal, image=dict(remains.image))
        site.server.rows = dict(remains.site.server.rows)
        site.server.reports = dict(remains.site.server.reports)
        site.ledger = remains.site.ledger
        if asyncio.run(run_to_the_end(site)) is None:
            raise Stopped
    for series, contents in site.ledger.contents.items():
        sizes = {copy: len(content) for copy, content in contents.items()}
        acknowledged = site.ledger.acknowledged[series]
        check_row(series, sizes, acknowledged, site.server.rows.get(series))
    check_no_others(site.ledger.contents, site.server.rows)
    return site


def copy_of(remains: Remains, kind: str, folder: Path) -> Path:
    shutil.copytree(remains.folder / kind, folder, dirs_exist_ok=True)
    return folder / "journal.db"


def kept_away(path: Path) -> list[str]:
    return [name.name for name in path.parent.iterdir() if ".damaged-" in name.name]


@pytest.mark.fault("F34")
def test_journal_of_a_newer_program_is_refused_and_left_alone(remains, tmp_path):
    path = copy_of(remains, "ended", tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalUnusable, match="newer"):
        SqliteJournal(path, is_expected=True)
    assert kept_away(path) == []


@pytest.mark.parametrize("kind", ["died", "ended"])
def test_undamaged_journal_goes_on(remains, tmp_path, caplog, kind):
    path = copy_of(remains, kind, tmp_path)
    restart(remains, path)
    assert kept_away(path) == []
    assert "the journal" not in caplog.text


@pytest.mark.fault("F28")
def test_lost_journal_is_said_and_what_is_owed_is_reported_anew(remains, tmp_path, caplog):
    restart(remains, tmp_path / "journal.db")
    assert "is lost" in caplog.text


@pytest.mark.fault("F28")
def test_lost_wal_takes_the_journal_back_in_time_and_loses_nothing(remains, tmp_path):
    path = copy_of(remains, "died", tmp_path)
    path.with_name("journal.db-wal").unlink()
    restart(remains, path)


@pytest.mark.fault("F28")
def test_journal_of_yesterday_loses_nothing(remains, tmp_path):
    """Put back from a backup: older than the spool and the server."""
    path = tmp_path / "journal.db"
    with contextlib.closing(SqliteJournal(path, is_expected=False)) as journal:
        asyncio.run(play(Site(journal=journal), Process(), BEGINNING[:20]))
    restart(remains, path)


@pytest.mark.fault("F28")
def test_journal_of_garbage_is_kept_and_said(remains, tmp_path, caplog):
    path = copy_of(remains, "ended", tmp_path)
    garbage = Random(1).randbytes(3 * PAGE)
    path.write_bytes(garbage)
    restart(remains, path)
    (kept,) = kept_away(path)
    assert (tmp_path / kept).read_bytes() == garbage
    assert "is damaged" in caplog.text


@pytest.mark.fault("F28")
def test_empty_journal_is_never_a_silent_start(remains, tmp_path, caplog):
    path = copy_of(remains, "ended", tmp_path)
    path.write_bytes(b"")
    restart(remains, path)
    assert "the journal" in caplog.text


@pytest.mark.parametrize("kind", ["died", "ended"])
@pytest.mark.fault("F28")
def test_journal_cut_anywhere_loses_nothing(remains, tmp_path, kind):
    random = Random(2)
    name = "journal.db-wal" if kind == "died" else "journal.db"
    size = (remains.folder / kind / name).stat().st_size
    for number, length in enumerate(
        [100, PAGE, size - 1, *(random.randrange(size) for _ in "123")]
    ):
        path = copy_of(remains, kind, tmp_path / str(number))
        with path.with_name(name).open("r+b") as file:
            file.truncate(length)
        restart(remains, path)


@pytest.mark.fault("F28")
def test_page_of_zeros_or_garbage_loses_nothing(remains, tmp_path):
    random = Random(3)
    pages = (remains.folder / "ended" / "journal.db").stat().st_size // PAGE
    for page in range(pages):
        for kind, content in (("zeros", bytes(PAGE)), ("garbage", random.randbytes(PAGE))):
            path = copy_of(remains, "ended", tmp_path / f"{page}-{kind}")
            with path.open("r+b") as file:
                file.seek(page * PAGE)
                file.write(content)
            restart(remains, path)


@pytest.mark.fault("F28")
def test_flipped_bit_loses_nothing_or_stops_the_gateway(remains, tmp_path):
    """Found at the start, or when it is read: then the gateway stops, and the next goes on."""
    random = Random(SEED)
    original = (remains.folder / "ended" / "journal.db").read_bytes()
    stopped = found = 0
    for number in range(600 if EXHAUSTIVE else 40):
        path = tmp_path / str(number) / "journal.db"
        path.parent.mkdir()
        content = bytearray(original)
        place = random.randrange(len(content))
        content[place] ^= 1 << random.randrange(8)
        path.write_bytes(content)
        try:
            restart(remains, path)
        except Stopped:
            stopped += 1
            restart(remains, path)
        except BaseException as error:
            error.add_note(f"byte {place}")
            raise
        found += bool(kept_away(path))
    assert found > stopped
