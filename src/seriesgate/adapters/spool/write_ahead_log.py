"""The write-ahead log: small instances are durable in it before their files are.

A file of its own for each instance takes two syncs, of the file and of its folder, and each of them
waits for the records of the file system, too. A block that is overwritten in a file of a fixed size
waits for nothing but the disk. So a small instance is first written here, durably, and its file is
only written, not synced.

    <state>/write-ahead/0, <state>/write-ahead/1      two segments

When a segment is full, the other one takes over. The files of the full one that are still in the
spool are then synced in the background, with their folders (a checkpoint), and it begins anew. Most
are delivered and gone by then, and never cost a sync. After a loss of power, a file that is missing
or torn is written again from its record.

Decided in ADR 28.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.log_segment import Segment, make_segment
from seriesgate.adapters.spool.spool_folder import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seriesgate.adapters.spool.file_operations import FileOperations
    from seriesgate.adapters.spool.log_segment import LogEntry

_log = logging.getLogger(__name__)

#: Bytes of each of the two segments: a few thousand instances, and a second or two of syncs.
SEGMENT_SIZE = 32 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
# After a checkpoint that failed, so many instances are synced without the log before another one.
_PATIENCE = 32


class WriteAheadLog:
    """The log in the folder `folder`, for the files below `root`. Safe for many threads.

    `write_file(name, content)` makes a file of the spool anew, whole, without a sync.
    `in_background` runs a checkpoint where it holds nobody up. Unless it `is_used`, only what an
    earlier run has left is read. Raises OSError.
    """

    def __init__(
        self,
        folder: str,
        root: str,
        files: FileOperations,
        write_file: Callable[[str, bytes], None],
        *,
        is_used: bool,
        in_background: Callable[[Callable[[], None]], None],
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        self._root = root
        self._files = files
        self._write_file = write_file
        self._is_used = is_used
        self._in_background = in_background
        # Guards segments and entries; never held during a sync.
        self._state = threading.Condition()
        # The latest entry of each file.
        self._entries: dict[str, LogEntry] = {}
        self._is_checkpointing = False
        self._is_closed = False
        self._patience = 0
        self._segments = [
            segment
            for path in (f"{folder}/0", f"{folder}/1")
            if (segment := self._segment(folder, path, segment_size)) is not None
        ]

    def recover(self, is_whole: Callable[[str], bool]) -> int:
        """Write each file anew that an earlier run had made durable here and that is not whole.

        To be called once, before anything is appended. Returns how many it were. Raises OSError.
        """
        restored = 0
        for segment in self._segments:
            for entry, content in segment.recover():
                if not is_whole(entry.name):
                    self._write_file(entry.name, content)
                    restored += 1
                entry.is_named = True
                self._entries[entry.name] = entry
        if self._is_checkpoint_due():
            self._start_checkpoint()
        return restored

    def append(self, name: str, content: bytes) -> LogEntry | None:
        """Make the content of a file durable; `named` or `void` must follow.

        Returns None when the log has no room now: the file has to be synced then. Raises OSError;
        then nothing is promised of it.
        """
        with self._state:
            segment = self._segment_with_room(len(content))
            entry = None
            if segment is not None:
                entry = self._entries[name] = segment.enter(name, len(content))
            is_due = self._is_checkpoint_due()
        if entry is None:
            if is_due:
                self._start_checkpoint()
            return None
        try:
            is_found = entry.segment.store(entry, content)
        except BaseException:
            self.void([entry])
            raise
        finally:
            if is_due:
                self._start_checkpoint()
        if not is_found:
            self.void([entry])
            return None
        return entry

    def named(self, entry: LogEntry) -> None:
        """The file has its name: from now on it is for the checkpoint to sync it."""
        with self._state:
            entry.is_named = True
            if self._is_checkpointing:
                self._state.notify_all()

    def take(self, names: Iterable[str]) -> list[LogEntry]:
        """Return the entries of files that are about to be removed; `void` must follow."""
        with self._state:
            return [entry for name in names if (entry := self._entries.pop(name, None)) is not None]

    def void(self, entries: Iterable[LogEntry]) -> None:
        """Owe these files nothing: they are gone, and that is durable, or they never had a name."""
        with self._state:
            for entry in entries:
                if self._entries.get(entry.name) is entry:
                    del self._entries[entry.name]
                if not self._is_closed:
                    entry.segment.void(entry)
            self._state.notify_all()

    def close(self) -> None:
        """Let go of the files. What is not synced yet, the next start finds."""
        with self._state:
            self._is_closed = True
            self._state.notify_all()
            self._state.wait_for(lambda: not self._is_checkpointing)
            for segment in self._segments:
                # A write that is under way must not meet another file under the same number.
                if all(entry.is_named or entry.is_void for entry in segment.entries):
                    segment.close()
            self._segments = []

    def _segment(self, folder: str, path: str, size: int) -> Segment | None:
        """Open a segment, made if need be; None where it is not to be made, or has no room."""
        try:
            return Segment(self._files, path)
        except FileNotFoundError:
            if not self._is_used:
                return None
        try:
            make_segment(self._files, path, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _log.warning(
                "there is no room for %s: small instances are synced one by one, which is slower; "
                "free some space, and start again",
                path,
            )
            return None
        sync_folder(self._files, folder)
        return Segment(self._files, path)

    def _segment_with_room(self, size: int) -> Segment | None:
        if not self._is_used:
            return None
        for segment in self._segments:
            if segment.has_room(size):
                if segment is not self._segments[0]:
                    self._segments.reverse()
                return segment
        return None

    def _is_checkpoint_due(self) -> bool:
        """Whether a segment is full, and nobody sees to it yet, nor has just failed to."""
        if self._is_checkpointing or not any(segment.is_full for segment in self._segments):
            return False
        self._patience = max(0, self._patience - 1)
        return self._patience == 0

    def _start_checkpoint(self) -> None:
        with self._state:
            if self._is_checkpointing or self._is_closed:
                return
            self._is_checkpointing = True
        try:
            self._in_background(self._checkpoint)
        except RuntimeError as error:  # no thread is to be had now
            self._checkpoint_failed(str(error))
            self._checkpoint_ended()

    def _checkpoint(self) -> None:
        try:
            for segment in tuple(self._segments):
                if segment.is_full:
                    self._settle(segment)
        except _Closed:
            return
        except OSError as error:
            self._checkpoint_failed(error.strerror)
        finally:
            self._checkpoint_ended()

    def _checkpoint_failed(self, reason: str | None) -> None:
        self._patience = _PATIENCE
        _log.error(
            "files of the spool cannot be synced: %s; they are safe in the write-ahead log, and it "
            "is tried again",
            reason,
        )

    def _checkpoint_ended(self) -> None:
        with self._state:
            self._is_checkpointing = False
            self._state.notify_all()

    def _settle(self, segment: Segment) -> None:
        """Sync each file of a full segment that is still there; then let it begin anew."""
        folders: dict[str, list[LogEntry]] = {}
        for entry in segment.entries:
            if self._is_owed(entry):
                self._settle_file(entry)
                folders.setdefault(entry.name.partition("/")[0], []).append(entry)
        for folder, entries in folders.items():
            self._settle_folder(folder, entries)
        sync_folder(self._files, self._root)
        segment.invalidate()
        with self._state:
            for entry in segment.entries:
                if self._entries.get(entry.name) is entry:
                    del self._entries[entry.name]
            segment.begin_anew()

    def _is_owed(self, entry: LogEntry) -> bool:
        with self._state:
            self._state.wait_for(lambda: entry.is_named or entry.is_void or self._is_closed)
            if self._is_closed:
                raise _Closed
            return not entry.is_void

    def _settle_file(self, entry: LogEntry) -> None:
        if entry.is_lost:
            self._write_file(entry.name, entry.segment.content(entry))
        try:
            fd = self._files.open(f"{self._root}/{entry.name}", _READ)
        except FileNotFoundError:
            return  # released meanwhile, or put away
        try:
            self._files.fsync(fd)
        except OSError:
            # Final: what the kernel could not write, it has dropped.
            entry.is_lost = True
            raise
        finally:
            self._files.close(fd)
        entry.is_lost = False

    def _settle_folder(self, folder: str, entries: list[LogEntry]) -> None:
        try:
            sync_folder(self._files, f"{self._root}/{folder}")
        except FileNotFoundError:
            return  # that it is gone, the sync of the root makes durable
        except OSError:
            for entry in entries:
                entry.is_lost = True
            raise


class _Closed(Exception):
    """The log was closed during a checkpoint: the next start goes on with it."""
