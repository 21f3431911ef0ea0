"""One segment of the write-ahead log: a file of a fixed size that is written over and over."""

from __future__ import annotations

import errno
import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.log_record import (
    BLOCK,
    LAST_GENERATION,
    MARK_SIZE,
    VOID,
    SegmentHead,
    content_of,
    decode_record_head,
    decode_segment_head,
    encode_record,
    encode_segment_head,
    record_size,
)
from seriesgate.adapters.spool.old_log_record import generation_of, old_record, old_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.adapters.spool.file_operations import FileOperations

_log = logging.getLogger(__name__)

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = _OPEN | os.O_CREAT | os.O_EXCL
_PIECE = 1024 * 1024


# Of a segment whose head is damaged, and that has no records.
_UNKNOWN = SegmentHead(0, bytes(MARK_SIZE))


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
    written. A record counts once all before it are durable: a start finds each by the length of the
    one before it.
    """

    def __init__(self, files: FileOperations, path: str) -> None:
        self._files = files
        self._fd = files.open(path, _OPEN)
        try:
            # What is written here is durable when the write returns.
            self._durable_fd = files.open(path, _OPEN | os.O_DSYNC)
            self._size = files.fstat(self._fd).st_size // BLOCK * BLOCK
            self._first = files.pread(self._fd, BLOCK, 0)
            self._order = threading.Condition()
            self._begin(decode_segment_head(self._first) or _UNKNOWN)
        except OSError:
            files.close(self._fd)
            raise

    @property
    def generation(self) -> int:
        """How often the segment has begun anew."""
        return self._head.generation

    def _begin(self, head: SegmentHead) -> None:
        self._head = self._next = head
        self._old_generation: int | None = None
        self.is_full = False
        self.entries: list[LogEntry] = []
        self._end = BLOCK
        # Up to where all records are durable; the ends of those behind a gap, by their beginnings.
        self._durable_to = BLOCK
        self._behind_a_gap: dict[int, int] = {}
        self._has_hole = False

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

    def store(self, entry: LogEntry, content: bytes) -> bool:
        """Write the record of an entry; return whether a start would find it. Raises OSError.

        It would not if one before it could not be written. To be called by any number of threads,
        each for its entry: the disk is flushed once for writes that come together, which the kernel
        does better than a queue here could.
        """
        try:
            record = encode_record(self._head, entry.name, content)
            write_all(self._files, self._durable_fd, record, entry.offset)
        except BaseException:
            # Final: what the kernel could not write, it has dropped. Nothing more goes in here.
            self.give_up()
            raise
        return self._wait_for_those_before(entry.offset, entry.offset + len(record))

    def give_up(self) -> None:
        """Leave a hole where an entry was to be: a start finds nothing behind it."""
        with self._order:
            self.is_full = self._has_hole = True
            self._order.notify_all()

    def _wait_for_those_before(self, offset: int, end: int) -> bool:
        with self._order:
            if self._durable_to != offset:
                self._behind_a_gap[offset] = end
                self._order.wait_for(lambda: self._durable_to > offset or self._has_hole)
                return self._durable_to > offset
            while end in self._behind_a_gap:
                end = self._behind_a_gap.pop(end)
                self._order.notify_all()
            self._durable_to = end
            return True

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
        if self._old_generation is None:
            record = self._read(record_size(entry.size), entry.offset)
            head = decode_record_head(record)
            content = None if head is None else content_of(head, record)
        else:
            old = old_record(self._old_generation, self._size, entry.offset, self._read)
            content = None if old is None else old[1]
        if content is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return content

    def recover(self) -> Iterator[tuple[LogEntry, bytes]]:
        """Yield what an earlier run has left, with its content; the segment is full then.

        Raises OSError.
        """
        for name, offset, content in self._left():
            entry = LogEntry(name, self, offset, len(content))
            self.entries.append(entry)
            self.is_full = True
            yield entry, content

    def _left(self) -> Iterator[tuple[str, int, bytes]]:
        self._old_generation = generation_of(self._first)
        if self._old_generation is not None:
            # To be written in the form of today before anything goes in.
            self.is_full = True
            return old_records(self._old_generation, self._size, self._read)
        if self._head == _UNKNOWN:
            self._take_head_of_first_record()
        return self._records()

    def _take_head_of_first_record(self) -> None:
        """Know the records of a segment with a damaged head by the one that comes first."""
        first = decode_record_head(self._read(BLOCK, BLOCK))
        self._head = _UNKNOWN if first is None else first.segment
        self.is_full = True
        _log.error(
            "the head of a segment of the write-ahead log is damaged: check the disk; %s",
            "it has no records" if first is None else "its records are read all the same",
        )

    def _records(self) -> Iterator[tuple[str, int, bytes]]:
        offset = BLOCK
        while offset < self._size:
            head = decode_record_head(self._read(BLOCK, offset))
            if head is None or head.segment != self._head:
                return
            if not head.is_void:
                content = content_of(head, self._read(head.blocks_size, offset))
                if content is not None:
                    yield head.name, offset, content
            offset += head.blocks_size

    def _read(self, size: int, offset: int) -> bytes:
        return self._files.pread(self._fd, size, offset)

    def invalidate(self) -> None:
        """Have a start pass over all records, durably. `begin_anew` must follow. Raises OSError."""
        self._next = _new_head(self.generation + 1)
        write_all(self._files, self._durable_fd, encode_segment_head(self._next), 0)

    def begin_anew(self) -> None:
        """Be empty, and take records again."""
        self._begin(self._next)

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
            write_all(files, fd, encode_segment_head(_new_head(1)), 0)
            files.fsync(fd)
        finally:
            files.close(fd)
        files.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            files.unlink(temporary)
        raise


def _new_head(generation: int) -> SegmentHead:
    # After so many it begins again: the mark tells the generations apart all the same.
    return SegmentHead(generation % LAST_GENERATION, os.urandom(MARK_SIZE))


def write_all(files: FileOperations, fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data`, in as many calls as it takes. Raises OSError."""
    written = files.pwrite(fd, data, offset)
    while written < len(data):
        data = memoryview(data)[written:]
        offset += written
        written = files.pwrite(fd, data, offset)
