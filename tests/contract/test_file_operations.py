"""What the spool relies on in a file system: the module `os`, and the one that tests simulate."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from tests.crash.simulated_disk import ProcessFiles, SimulatedDisk

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY


@pytest.fixture(params=["os", "simulated"])
def files(request, tmp_path, monkeypatch):
    """Operations in an empty folder, in which paths are relative."""
    if request.param == "os":
        monkeypatch.chdir(tmp_path)
        return os
    return ProcessFiles(SimulatedDisk({}))


def write(files, path, content=b"content"):
    fd = files.open(path, CREATE, 0o600)
    assert files.pwrite(fd, content, 0) == len(content)
    files.close(fd)


def read(files, path):
    fd = files.open(path, READ)
    pieces = []
    while piece := files.read(fd, 4):
        pieces.append(piece)
    files.close(fd)
    return b"".join(pieces)


def failure(number):
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def test_what_is_written_is_read_piece_by_piece(files):
    write(files, "a", b"0123456789")
    assert read(files, "a") == b"0123456789"


def test_writes_at_offsets_leave_zeros_between_and_replace(files):
    fd = files.open("a", CREATE, 0o600)
    files.pwrite(fd, memoryview(b"tail"), 6)
    files.pwrite(fd, b"head", 0)
    files.pwrite(fd, b"T", 6)
    files.fsync(fd)
    assert files.fstat(fd).st_size == 10
    files.close(fd)
    assert read(files, "a") == b"head\0\0Tail"


def test_what_is_at_an_offset_is_read_whatever_was_read_before(files):
    fd = files.open("a", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    files.pwrite(fd, b"0123456789", 0)
    assert files.pread(fd, 4, 3) == b"3456"
    assert files.pread(fd, 4, 8) == b"89"
    assert files.pread(fd, 4, 10) == b""
    assert files.read(fd, 2) == b"01"
    files.close(fd)


def test_what_is_written_synchronously_is_read_by_others(files):
    write(files, "a", b"0123456789")
    fd = files.open("a", os.O_RDWR | os.O_DSYNC)
    assert files.pwrite(fd, b"xy", 3) == 2
    files.close(fd)
    assert read(files, "a") == b"012xy56789"


def test_file_is_created_once(files):
    write(files, "a")
    with failure(errno.EEXIST):
        files.open("a", CREATE, 0o600)


@pytest.mark.parametrize("operation", ["open", "lstat", "unlink", "rmdir", "listdir", "statvfs"])
def test_what_is_not_there_is_enoent(files, operation):
    with failure(errno.ENOENT):
        getattr(files, operation)("absent", *([READ] if operation == "open" else []))


def test_rename_moves_over_what_was_there(files):
    files.mkdir("folder", 0o700)
    write(files, "a", b"new")
    write(files, "folder/b", b"old")
    files.rename("a", "folder/b")
    assert files.listdir("folder") == ["b"]
    assert read(files, "folder/b") == b"new"
    with failure(errno.ENOENT):
        files.rename("a", "folder/c")
    with failure(errno.ENOENT):
        files.rename("folder/b", "absent/b")
    assert read(files, "folder/b") == b"new"


def test_rename_takes_a_folder_with_all_in_it(files):
    files.mkdir("folder", 0o700)
    write(files, "folder/a")
    files.rename("folder", "other")
    assert files.listdir("other") == ["a"]


def test_file_is_not_renamed_over_a_folder(files):
    files.mkdir("folder", 0o700)
    write(files, "a")
    with failure(errno.EISDIR):
        files.rename("a", "folder")


def test_folder_is_made_once_and_removed_only_when_empty(files):
    files.mkdir("root", 0o700)
    files.mkdir("root/folder", 0o700)
    with failure(errno.EEXIST):
        files.mkdir("root/folder", 0o700)
    write(files, "root/folder/a")
    with failure(errno.ENOTEMPTY):
        files.rmdir("root/folder")
    files.unlink("root/folder/a")
    files.rmdir("root/folder")
    assert files.listdir("root") == []


def test_entry_is_there_or_not(files):
    files.mkdir("folder", 0o700)
    write(files, "folder/a")
    for path, is_there in (
        ("folder", True),
        ("folder/a", True),
        ("folder/b", False),
        ("b/a", False),
    ):
        assert files.access(path, os.F_OK, follow_symlinks=False) is is_there, path


def test_kinds_are_told_apart(files):
    files.mkdir("folder", 0o700)
    write(files, "a")
    assert stat.S_ISDIR(files.lstat("folder").st_mode)
    assert stat.S_ISREG(files.lstat("a").st_mode)
    assert files.lstat("a").st_size == 7
    with failure(errno.ENOTDIR):
        files.open("a", FOLDER)
    with failure(errno.EISDIR):
        files.open("folder", os.O_WRONLY)
    with failure(errno.EISDIR):
        files.unlink("folder")
    with failure(errno.ENOTDIR):
        files.rmdir("a")
    with failure(errno.ENOTDIR):
        files.listdir("a")
    with failure(errno.ENOTDIR):
        files.lstat("a/b")


def test_folder_is_opened_and_synced_but_not_read(files):
    files.mkdir("folder", 0o700)
    fd = files.open("folder", FOLDER)
    files.fsync(fd)
    with failure(errno.EISDIR):
        files.read(fd, 10)
    files.close(fd)


def test_open_file_outlives_its_name(files):
    write(files, "a")
    fd = files.open("a", READ)
    files.unlink("a")
    assert files.read(fd, 100) == b"content"
    files.close(fd)


def test_closed_descriptor_is_ebadf(files):
    write(files, "a")
    fd = files.open("a", READ)
    files.close(fd)
    for use in (files.close, files.fsync, files.fstat, lambda fd: files.read(fd, 1)):
        with failure(errno.EBADF):
            use(fd)


def test_volume_has_blocks(files):
    files.mkdir("folder", 0o700)
    status = files.statvfs("folder")
    assert status.f_bavail * status.f_frsize > 0
