"""One segment of the write-ahead log: a file of a fixed size that is written over and over."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.log_record import (
    BLOCK,
    VOID,
    content_of,
    decode_record_head,
    decode_segment_head,
    encode_record,
    encode_segment_head,
    record_size,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.adapters.spool.file_operations import FileOperations

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = _OPEN | os.O_CREAT | os.O_EXCL
_PIECE = 1024 * 1024


class LogEntry:
    """An instance that is durable in the log, and whose file is not yet known to be.

    `is_named` once its file has its name; `is_void` when nothing is owed to it any more, for it was
    released, or never named; `is_lost` when a sync of its file has failed: it is written anew.
    """

    __slots__ = (
        "generation",
        "is_lost",
        "is_named",
        "is_void",
        "name",
        "offset",
        "segment",
        "size",
    )

    def __init__(self, name: str, segment: Segment, offset: int, size: int) -> None:
        self.name = name
        self.segment = segment
        self.generation = segment.generation
        self.offset = offset
        self.size = size
        self.is_named = self.is_void = self.is_lost = False


class Segment:
    """A segment in the file `path`. All but `store` is for one thread at a time. Raises OSError.

    One that `is_full` takes nothing more before it begins anew; so does one that could not be
    written.
    """

    def __init__(self, files: FileOperations, path: str) -> None:
        self._files = files
        self._fd = files.open(path, _OPEN)
        try:
            # What is written here is durable when the write returns.
            self._durable_fd = files.open(path, _OPEN | os.O_DSYNC)
            self._size = files.fstat(self._fd).st_size // BLOCK * BLOCK
            self._begin(decode_segment_head(files.pread(self._fd, BLOCK, 0)) or 0)
        except OSError:
            files.close(self._fd)
            raise

    def _begin(self, generation: int) -> None:
        self.generation = generation
        self.is_full = False
        self.entries: list[LogEntry] = []
        self._end = BLOCK

    def has_room(self, content_size: int) -> bool:
        """Return whether a content of so many bytes fits; if not, the segment is full."""
        if self._end + record_size(content_size) > self._size:
            self.is_full = True
        return not self.is_full

    def enter(self, name: str, content_size: int) -> LogEntry:
        """Give a content its place, where it has room. `store` must follow."""
        entry = LogEntry(name, self, self._end, content_size)
        self._end += record_size(content_size)
        self.entries.append(entry)
        return entry

    def store(self, entry: LogEntry, content: bytes) -> None:
        """Write the record of an entry; it is durable then. Raises OSError.

        To be called by any number of threads, each for its entry: the disk is flushed once for
        writes that come together, which the kernel does better than a queue here could.
        """
        record = encode_record(entry.generation, entry.name, content)
        try:
            write_all(self._files, self._durable_fd, record, entry.offset)
        except OSError:
            # Final: what the kernel could not write, it has dropped. Nothing more goes in here.
            self.is_full = True
            raise

    def void(self, entry: LogEntry) -> None:
        """Have a start pass over the record of an entry, if it is still there."""
        entry.is_void = True
        if entry.generation != self.generation:
            return
        # One that cannot be voided brings back a file that the journal knows: no harm.
        with suppress(OSError):
            self._files.pwrite(self._fd, VOID, entry.offset)

    def content(self, entry: LogEntry) -> bytes:
        """Return the content of an entry. Raises OSError, also when it is not what was written."""
        record = self._files.pread(self._fd, record_size(entry.size), entry.offset)
        head = decode_record_head(record)
        content = None if head is None else content_of(head, record)
        if content is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return content

    def recover(self) -> Iterator[tuple[LogEntry, bytes]]:
        """Yield what an earlier run has left, with its content; the segment is full then.

        What a sender has put into its pixels can look like a record, where a record was before. So
        nothing here is trusted more than any other file of the spool. Raises OSError.
        """
        found = list(self._records())
        # They are newer than the head only where the head is damaged.
        self.generation = max((each for each, _, _ in found), default=self.generation)
        for generation, entry, content in found:
            if generation == self.generation:
                entry.generation = generation
                self.entries.append(entry)
                self.is_full = True
                yield entry, content

    def _records(self) -> Iterator[tuple[int, LogEntry, bytes]]:
        offset = BLOCK
        while offset < self._size:
            head = decode_record_head(self._files.pread(self._fd, BLOCK, offset))
            size = BLOCK
            if head is not None and head.generation >= self.generation:
                length = record_size(head.size)
                if offset + length <= self._size:
                    content = content_of(head, self._files.pread(self._fd, length, offset))
                    if content is not None:
                        yield head.generation, LogEntry(head.name, self, offset, head.size), content
                        size = length
            offset += size

    def invalidate(self) -> None:
        """Have a start pass over all records, durably. `begin_anew` must follow. Raises OSError."""
        write_all(self._files, self._durable_fd, encode_segment_head(self.generation + 1), 0)

    def begin_anew(self) -> None:
        """Be empty, and take records again."""
        self._begin(self.generation + 1)

    def close(self) -> None:
        """Close the file: what was promised of it is durable already."""
        for fd in (self._fd, self._durable_fd):
            with suppress(OSError):
                self._files.close(fd)


def make_segment(files: FileOperations, path: str, size: int) -> None:
    """Make a segment, written from end to end: to overwrite it later takes no room, and no records.

    Its name is not synced. Raises OSError; then there is none.
    """
    temporary = f"{path}.new"
    with suppress(FileNotFoundError):
        files.unlink(temporary)
    fd = files.open(temporary, _CREATE, 0o600)
    try:
        try:
            for offset in range(0, size, _PIECE):
                write_all(files, fd, bytes(min(_PIECE, size - offset)), offset)
            write_all(files, fd, encode_segment_head(1), 0)
            files.fsync(fd)
        finally:
            files.close(fd)
        files.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            files.unlink(temporary)
        raise


def write_all(files: FileOperations, fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data`, in as many calls as it takes. Raises OSError."""
    written = files.pwrite(fd, data, offset)
    while written < len(data):
        data = memoryview(data)[written:]
        offset += written
        written = files.pwrite(fd, data, offset)
