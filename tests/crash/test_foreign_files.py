"""What lies in the spool and is not what was received there is put away; never followed or read."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from tests.crash.site import copy_of, instance
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE, mr_instance, write_file

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.gateway.ports import StoreRequest

if TYPE_CHECKING:
    from pathlib import Path

SERIES, SOP = "1.2", "1.2.1"
CONTENT = instance(SERIES, SOP)
COPY = copy_of(SOP, CONTENT)


def spool_in(folder: Path) -> FileSpool:
    # With a write-ahead log, what is damaged there too soon is written anew.
    return FileSpool(folder, Durability.PROCESS, HeaderScanners())


def store(folder: Path) -> Path:
    """Store one instance and return where it is."""
    spool = spool_in(folder)
    file = spool.create(StoreRequest("MODALITY", EXPLICIT_LE, MR_IMAGE_STORAGE, SOP))
    file.write(CONTENT)
    header = HeaderScanners()(EXPLICIT_LE).feed(CONTENT)
    assert header is not None
    file.keep(header)
    return spool.path_of(SERIES, COPY)


def recovered(folder: Path) -> list[str]:
    return [found.copy.sop_instance_uid for found in spool_in(folder).recover()]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def make_unreadable(path: Path) -> None:
    path.write_bytes(b"not for you")
    path.chmod(0)


FOREIGN = {
    "link to a file": lambda path: path.symlink_to(path.parents[2] / "elsewhere"),
    "link to nothing": lambda path: path.symlink_to("/nowhere"),
    "pipe": os.mkfifo,
    "socket": make_socket,
    "folder": lambda path: path.mkdir(),
    "unreadable file": make_unreadable,
    "empty file": lambda path: path.touch(),
    "text": lambda path: path.write_text("read me"),
    "instance of another program": lambda path: write_file(path, mr_instance()),
    "device": lambda path: path.symlink_to("/dev/zero"),
}
PLACES = ("series", "spool")


@pytest.mark.fault("F29")
@pytest.mark.parametrize(
    ("make", "where"),
    # A folder in the spool is that of a series.
    [(make, where) for make in FOREIGN for where in PLACES if (make, where) != ("folder", "spool")],
)
def test_foreign_entry_is_put_away_and_the_others_go_on(tmp_path, monkeypatch, make, where):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "elsewhere").write_text("not ours")
    kept = store(folder)
    path = (kept.parent if where == "series" else kept.parents[1]) / "x.dcm"
    FOREIGN[make](path)
    assert recovered(folder) == [SOP]
    assert not os.path.lexists(path)
    (put_away,) = (folder / "quarantine").iterdir()
    assert os.path.lexists(put_away)
    assert kept.exists()
    assert (folder / "elsewhere").read_text() == "not ours"


@pytest.mark.fault("F29")
def test_linked_folder_of_a_series_is_not_followed(tmp_path):
    store(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    write_file(tmp_path / "elsewhere" / "a.dcm", mr_instance())
    (tmp_path / "spool" / "linked").symlink_to(tmp_path / "elsewhere")
    assert recovered(tmp_path) == [SOP]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["a.dcm"]


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.fault("F27")
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:0],
        lambda content: content[:-1],
        lambda content: content[:200],
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
        lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
        lambda content: flip(content, len(content) - 1),
        lambda content: flip(content, 140),
    ],
    ids=["empty", "one short", "cut", "longer", "zeros", "zeros at the end", "bit", "bit in head"],
)
def test_damaged_file_is_put_away_and_not_counted(tmp_path, damage):
    path = store(tmp_path)
    content = damage(path.read_bytes())
    path.write_bytes(content)
    spool = spool_in(tmp_path)
    # What the header does not show is found when the series closes.
    for found in spool.recover():
        assert spool.is_damaged(SERIES, found.copy)
    assert not path.exists()
    (put_away,) = (tmp_path / "quarantine").iterdir()
    assert put_away.read_bytes() == content


@pytest.mark.fault("F27", "F29")
def test_whole_file_under_the_name_of_another_is_put_away(tmp_path):
    path = store(tmp_path)
    path.rename(path.with_name("0" * 32 + ".dcm"))
    assert recovered(tmp_path) == []
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


@pytest.mark.fault("F27", "F29")
def test_undamaged_file_is_neither(tmp_path):
    path = store(tmp_path)
    assert recovered(tmp_path) == [SOP]
    assert not spool_in(tmp_path).is_damaged(SERIES, COPY)
    assert path.exists()
