"""A Part 10 file of the spool, read back: its head, its header, and whether it is whole."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Self

from seriesgate.adapters.spool.part10 import ContentDigest, NotPart10, read_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from seriesgate.adapters.spool.file_operations import FileOperations, FileStatus
    from seriesgate.adapters.spool.part10 import FileMeta, Seal
    from seriesgate.gateway.ports import HeaderScanner
    from seriesgate.series.model import InstanceHeader

# A link is never followed, and a pipe never waited for.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# The head and, of most objects, the whole header.
_FIRST_PIECE = 16 * 1024
_PIECE = 256 * 1024
# What is there and is not ours to read: a link, a socket, somebody else's file.
_FOREIGN = {errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM}


class FileUnreadable(Exception):
    """The disk does not give a file back. It may another time: the file itself is not to blame."""


class SpooledFile:
    """An open file. Raises NotPart10 when it is not one of ours, and OSError."""

    def __init__(self, files: FileOperations, path: str) -> None:
        self._files = files
        self._fd = files.open(path, _OPEN)
        try:
            status = _status_of_file(files, self._fd)
            self._first = files.read(self._fd, _FIRST_PIECE)
            head = BytesIO(self._first)
            self.meta = read_head(head)
            self._head_size = head.tell()
            self.seal = _checked_seal(self.meta, status.st_size - self._head_size)
        except BaseException:
            files.close(self._fd)
            raise
        self.modified = status.st_mtime

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close(self._fd)

    def pieces(self) -> Iterator[memoryview]:
        """Yield the data set from its first byte. To be called once."""
        yield memoryview(self._first)[self._head_size :]
        while piece := self._files.read(self._fd, _PIECE):
            yield memoryview(piece)

    def header(self, scanner_for: Callable[[str], HeaderScanner]) -> InstanceHeader:
        """Return what the data set says of itself. Raises HeaderUnreadable."""
        scanner = scanner_for(self.meta.transfer_syntax_uid)
        for piece in self.pieces():
            header = scanner.feed(piece)
            if header is not None:
                return header
        return scanner.finish()

    def is_whole(self) -> bool:
        """Return whether the data set is what was received, bit for bit."""
        content = ContentDigest(self.meta.transfer_syntax_uid)
        for piece in self.pieces():
            content.update(piece)
        return content.digest() == self.seal.digest


def _status_of_file(files: FileOperations, fd: int) -> FileStatus:
    status = files.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise NotPart10("it is not a regular file")
    return status


def _checked_seal(meta: FileMeta, size: int) -> Seal:
    if meta.seal is None:
        raise NotPart10("it was not written by this program")
    if meta.seal.size != size:
        raise NotPart10("it is cut short, or longer than it was")
    return meta.seal


@contextmanager
def judged_errors() -> Iterator[None]:
    """Tell what is wrong with a file from what is wrong with the disk or the system.

    NotPart10 is about the file, FileUnreadable about the disk under it. Any other OSError, such as
    too many open files, says nothing about either.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FOREIGN:
            raise NotPart10("it cannot be opened by this program") from error
        if error.errno == errno.EIO:
            raise FileUnreadable from error
        raise


def is_damaged(files: FileOperations, path: str) -> bool:
    """Return whether a file is not what was received.

    Raises FileUnreadable, and OSError: FileNotFoundError if it is gone.
    """
    try:
        with judged_errors(), SpooledFile(files, path) as file:
            return not file.is_whole()
    except NotPart10:
        return True


def is_same_data_set(files: FileOperations, path: str, other_path: str) -> bool:
    """Return whether two files hold the same data set, bit for bit, in the same syntax.

    Their File Meta may name different senders. Raises OSError; a file that is not one of ours is
    not the same.
    """
    try:
        with SpooledFile(files, path) as file, SpooledFile(files, other_path) as other:
            return (
                file.seal == other.seal
                and file.meta.transfer_syntax_uid == other.meta.transfer_syntax_uid
                and all(
                    piece == other_piece
                    for piece, other_piece in zip(_even(file), _even(other), strict=True)
                )
            )
    except NotPart10:
        return False


def _even(file: SpooledFile) -> Iterator[bytes]:
    """Yield the data set in pieces whose borders do not depend on the length of the head."""
    rest = b""
    for piece in file.pieces():
        rest += piece
        while len(rest) >= _PIECE:
            yield rest[:_PIECE]
            rest = rest[_PIECE:]
    yield rest
