"""The spool: received instances as Part 10 files in a folder.

    <state>/incoming/<number>                                 under way; removed at start
    <state>/spool/<hash of series>/<hash of instance>.dcm     complete, or absent
    <state>/quarantine/<number>                               found in the spool, and not whole

No name is made of anything that came over the network: UIDs are hashed, and live in the files. The
hash of an instance is that of its SOP Instance UID and its content. So a resend meets its own file,
and an instance that comes with other content lies beside the first and overwrites nothing.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import stat
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.free_space import FreeSpace
from seriesgate.adapters.spool.incoming_file import IncomingPart10File
from seriesgate.adapters.spool.names import file_name, folder_name
from seriesgate.adapters.spool.part10 import FileMeta, NotPart10
from seriesgate.adapters.spool.spooled_file import (
    FileUnreadable,
    SpooledFile,
    is_damaged,
    is_same_data_set,
    judged_errors,
)
from seriesgate.adapters.state_folder import StateFolderUnusable
from seriesgate.gateway.ports import HeaderUnreadable, KeptAs, SpoolUnavailable
from seriesgate.series.model import Instance, InstanceCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seriesgate.adapters.spool.file_operations import FileOperations
    from seriesgate.gateway.ports import HeaderScanner, IncomingFile, StoreRequest
    from seriesgate.series.model import InstanceHeader

_log = logging.getLogger(__name__)


class Durability(StrEnum):
    """What an acknowledged instance survives."""

    #: A power failure: file and folder are synced before the acknowledgement.
    POWER = "power"
    #: A crash of the program, not of the machine: written to the page cache.
    PROCESS = "process"


class FileSpool:
    """Implements `InstanceSpool` in the folder `state_dir`, which the caller has locked.

    `files` are the file operations, those of `os` but in tests. Raises StateFolderUnusable.
    """

    def __init__(
        self,
        state_dir: Path,
        durability: Durability,
        scanner_for: Callable[[str], HeaderScanner],
        min_free_bytes: int = 0,
        files: FileOperations = os,
    ) -> None:
        self._root = str(state_dir / "spool")
        self._incoming = str(state_dir / "incoming")
        self._quarantine = str(state_dir / "quarantine")
        self._is_synced = durability is Durability.POWER
        self._scanner_for = scanner_for
        self._files = files
        self._space = FreeSpace(files, str(state_dir), min_free_bytes)
        self._numbers = itertools.count()
        # Guards the names in the spool: what exists, what is made, what is removed.
        self._names = threading.Condition()
        # Names that exist, but are not synced yet.
        self._unsynced: set[str] = set()
        self._synced_folders: set[str] = set()
        try:
            for folder in (self._incoming, self._root, self._quarantine):
                with suppress(FileExistsError):
                    files.mkdir(folder, 0o700)
            if self._is_synced:
                self._sync(str(state_dir))
            for name in files.listdir(self._incoming):
                files.unlink(f"{self._incoming}/{name}")
        except OSError as error:
            raise StateFolderUnusable.because(state_dir, error) from error

    def has_room(self) -> bool:
        """Return whether instances can be stored now, as far as the volume is concerned."""
        try:
            return not self._space.is_low()
        except OSError:
            return False

    def free_bytes(self) -> int:
        """Return how many bytes are free on the volume. Raises SpoolUnavailable."""
        with _mapped_errors():
            return self._space.free_bytes()

    def quarantine_count(self) -> int:
        """Return how many entries are in the quarantine. Raises SpoolUnavailable."""
        with _mapped_errors():
            return len(self._files.listdir(self._quarantine))

    def create(self, request: StoreRequest) -> IncomingFile:
        """Begin to receive an instance. Raises SpoolUnavailable."""
        with _mapped_errors():
            is_low = self._space.was_low()
        if is_low:
            raise SpoolUnavailable("the disk of the spool is nearly full (gateway.min_free_bytes)")
        meta = FileMeta(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
            source_ae_title=request.calling_ae_title,
        )
        path = f"{self._incoming}/{next(self._numbers)}"
        return IncomingPart10File(self._files, path, meta, self._publish, is_synced=self._is_synced)

    def path_of(self, series_instance_uid: str, copy: InstanceCopy) -> Path:
        """Return where a kept copy of an instance is, or was."""
        return Path(self._folder_of(series_instance_uid), file_name(copy))

    def is_damaged(self, series_instance_uid: str, copy: InstanceCopy) -> bool:
        """Read a copy again; one that is not what was received goes to the quarantine.

        One that is not there is not damaged. One that the disk does not give back is, and stays:
        the next start tries again. Raises SpoolUnavailable.
        """
        path = str(self.path_of(series_instance_uid, copy))
        with _mapped_errors():
            try:
                if not is_damaged(self._files, path):
                    return False
                self._move_to_quarantine(path)
            except FileNotFoundError:
                return False
            except FileUnreadable:
                pass
        return True

    def release(self, series_instance_uid: str, copies: Iterable[InstanceCopy]) -> int:
        """Remove what is delivered, and the folder once it is empty; return how many files went.

        What is gone is no error.
        """
        folder = self._folder_of(series_instance_uid)
        removed = 0
        for copy in copies:
            with suppress(FileNotFoundError):
                self._files.unlink(f"{folder}/{file_name(copy)}")
                removed += 1
        with self._names, suppress(OSError):
            self._files.rmdir(folder)
            self._synced_folders.discard(folder)
        return removed

    def recover(self) -> Iterator[Instance]:
        """Yield every instance in the spool; what is not one goes to the quarantine.

        What the disk does not give back stays, for the next start. Raises SpoolUnavailable.
        """
        quarantined = unreadable = 0
        with _mapped_errors():
            for path in self._entries():
                try:
                    yield self._read(path)
                except FileNotFoundError:
                    continue
                except FileUnreadable:
                    unreadable += 1
                except (NotPart10, HeaderUnreadable):
                    self._move_to_quarantine(path)
                    quarantined += 1
        if unreadable:
            _log.error(
                "%d files of the spool cannot be read: check the disk; they are not counted, "
                "and the next start tries again",
                unreadable,
            )
        if quarantined:
            _log.error(
                "%d entries of the spool are damaged or not ours: they are in %s, and not counted",
                quarantined,
                self._quarantine,
            )

    def _publish(self, temporary: str, header: InstanceHeader, digest: bytes) -> KeptAs:
        """Give a finished and synced file its name, never over another, and sync the folder.

        When this returns, the instance may be acknowledged. Raises OSError; then it has no name.
        """
        folder = self._folder_of(header.series_instance_uid)
        path = f"{folder}/{file_name(InstanceCopy(header.sop_instance_uid, digest))}"
        while not self._claim(temporary, folder, path):
            # Nothing is removed from under a comparison but by a release: then the name is free.
            with suppress(FileNotFoundError):
                if not is_same_data_set(self._files, temporary, path):
                    raise FileExistsError(errno.EEXIST, "another content has the same digest")
                self._files.unlink(temporary)
                return KeptAs.REPEATED
        if self._is_synced:
            self._sync_name(folder, path)
        return KeptAs.NEW

    def _sync_name(self, folder: str, path: str) -> None:
        try:
            self._sync_folder(folder)
        except OSError:
            # Whether the name will last is not known: the file must not be met by a resend.
            with suppress(OSError):
                self._files.unlink(path)
            raise
        finally:
            with self._names:
                self._unsynced.discard(path)
                self._names.notify_all()

    def _claim(self, temporary: str, folder: str, path: str) -> bool:
        """Rename the file; False if the name is taken, by a file that will last."""
        with self._names:
            while path in self._unsynced:
                self._names.wait()
            try:
                self._files.lstat(path)
            except FileNotFoundError:
                pass
            else:
                return False
            try:
                self._files.rename(temporary, path)
            except FileNotFoundError:
                self._files.mkdir(folder, 0o700)
                self._files.rename(temporary, path)
            if self._is_synced:
                self._unsynced.add(path)
            return True

    def _sync_folder(self, folder: str) -> None:
        if folder not in self._synced_folders:
            self._sync(self._root)
            self._synced_folders.add(folder)
        self._sync(folder)

    def _sync(self, folder: str) -> None:
        fd = self._files.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._files.fsync(fd)
        finally:
            self._files.close(fd)

    def _folder_of(self, series_instance_uid: str) -> str:
        return f"{self._root}/{folder_name(series_instance_uid)}"

    def _entries(self) -> Iterator[str]:
        for name in self._files.listdir(self._root):
            folder = f"{self._root}/{name}"
            try:
                if stat.S_ISDIR(self._files.lstat(folder).st_mode):
                    yield from (f"{folder}/{entry}" for entry in self._files.listdir(folder))
                else:
                    yield folder
            except FileNotFoundError:
                continue

    def _read(self, path: str) -> Instance:
        with judged_errors(), SpooledFile(self._files, path) as file:
            instance = Instance(
                header=file.header(self._scanner_for),
                calling_ae_title=file.meta.source_ae_title,
                size=file.seal.size,
                stored_at=datetime.fromtimestamp(file.modified, UTC),
                digest=file.seal.digest,
                is_recovered=True,
            )
        if path != str(self.path_of(instance.header.series_instance_uid, instance.copy)):
            raise NotPart10("its name is not that of its content")
        return instance

    def _move_to_quarantine(self, path: str) -> None:
        """Move an entry out of the way, whatever it is: a link is moved, not followed."""
        number = len(self._files.listdir(self._quarantine))
        with self._names, suppress(FileNotFoundError):
            while True:
                target = f"{self._quarantine}/{number}"
                self._files.lstat(target)
                number += 1
        self._files.rename(path, target)


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpoolUnavailable(f"cannot use the spool: {error.strerror}") from error
