"""The spool: received instances as Part 10 files in a folder.

    <state>/incoming/<number>                                 under way; removed at start
    <state>/spool/<hash of series>/<hash of instance>.dcm     complete, or absent
    <state>/write-ahead/<number>                              small ones are durable here at first
    <state>/quarantine/<number>                               found in the spool, and not whole

No name is made of anything that came over the network: UIDs are hashed, and live in the files. The
hash of an instance is that of its SOP Instance UID and its content. So a resend meets its own file,
and an instance that comes with other content lies beside the first and overwrites nothing.

Decided in ADR 3.
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
from seriesgate.adapters.spool.log_segment import write_all
from seriesgate.adapters.spool.names import file_name, folder_name
from seriesgate.adapters.spool.part10 import FileMeta, NotPart10
from seriesgate.adapters.spool.quarantine import Quarantine
from seriesgate.adapters.spool.spool_folder import SpoolFolder, sync_folder
from seriesgate.adapters.spool.spooled_file import (
    FileUnreadable,
    SpooledFile,
    is_damaged,
    is_same_data_set,
    judged_errors,
)
from seriesgate.adapters.spool.write_ahead_log import SEGMENT_SIZE, WriteAheadLog
from seriesgate.adapters.state_folder import StateFolderUnusable
from seriesgate.containment import Unit, contained
from seriesgate.gateway.deaths import NO_DEATHS, WITH_CARE
from seriesgate.gateway.ports import HeaderUnreadable, KeptAs, SpoolUnavailable
from seriesgate.series.model import Instance, InstanceCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seriesgate.adapters.spool.file_operations import FileOperations
    from seriesgate.gateway.deaths import Deaths
    from seriesgate.gateway.ports import HeaderScanner, IncomingFile, StoreRequest
    from seriesgate.series.model import InstanceHeader

_log = logging.getLogger(__name__)

# What reading a file may raise, and what then becomes of it is known.
_OF_A_FILE = (OSError, FileUnreadable, NotPart10, HeaderUnreadable)


class Durability(StrEnum):
    """What an acknowledged instance survives."""

    #: A power failure: synced to the disk before the acknowledgement.
    POWER = "power"
    #: A crash of the program, not of the machine: written to the page cache.
    PROCESS = "process"


def _on_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="checkpoint", daemon=True).start()


class FileSpool:
    """Implements `InstanceSpool` in the folder `state_dir`, which the caller has locked.

    `files` are the file operations, those of `os` but in tests; `in_background` and `segment_size`
    are those of the write-ahead log. Raises StateFolderUnusable.
    """

    def __init__(
        self,
        state_dir: Path,
        durability: Durability,
        scanner_for: Callable[[str], HeaderScanner],
        min_free_bytes: int = 0,
        files: FileOperations = os,
        *,
        in_background: Callable[[Callable[[], None]], None] = _on_a_thread,
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        self._folder = SpoolFolder(files, str(state_dir / "spool"))
        self._incoming = str(state_dir / "incoming")
        self._is_synced = durability is Durability.POWER
        self._scanner_for = scanner_for
        self._files = files
        self._space = FreeSpace(files, str(state_dir), min_free_bytes)
        self._quarantine = Quarantine(files, str(state_dir / "quarantine"))
        self._numbers = itertools.count()
        log_folder = str(state_dir / "write-ahead")
        try:
            for folder in (self._incoming, self._folder.path, self._quarantine.path, log_folder):
                with suppress(FileExistsError):
                    files.mkdir(folder, 0o700)
            if self._is_synced:
                sync_folder(files, str(state_dir))
            for name in files.listdir(self._incoming):
                files.unlink(f"{self._incoming}/{name}")
            self._log = WriteAheadLog(
                log_folder,
                self._folder.path,
                files,
                self._write_anew,
                is_used=self._is_synced,
                in_background=in_background,
                segment_size=segment_size,
            )
            restored = self._log.recover(self._is_whole)
        except OSError as error:
            raise StateFolderUnusable.because(state_dir, error) from error
        if restored:
            _log.info("%d files of the spool are written anew from the write-ahead log", restored)

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
            return self._quarantine.count()

    def create(self, request: StoreRequest) -> IncomingFile:
        """Begin to receive an instance. Raises SpoolUnavailable."""
        try:
            is_low = self._space.was_low()
        except OSError as error:
            raise _unavailable(error) from error
        if is_low:
            raise SpoolUnavailable("the disk of the spool is nearly full (gateway.min_free_bytes)")
        meta = FileMeta(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
            source_ae_title=request.calling_ae_title,
        )
        path = f"{self._incoming}/{next(self._numbers)}"
        return IncomingPart10File(self._files, path, meta, self._publish)

    def path_of(self, series_instance_uid: str, copy: InstanceCopy) -> Path:
        """Return where a kept copy of an instance is, or was."""
        return Path(self._folder.path_of(_name(series_instance_uid, copy)))

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
                self._quarantine.take(path)
            except FileNotFoundError:
                return False
            except FileUnreadable:
                pass
        return True

    def release(self, series_instance_uid: str, copies: Iterable[InstanceCopy]) -> int:
        """Remove what is delivered, and the folder once it is empty; return how many files went.

        What is gone is no error.
        """
        folder = folder_name(series_instance_uid)
        names = [f"{folder}/{file_name(copy)}" for copy in copies]
        logged = self._log.take(names)
        removed = self._folder.remove(folder, names)
        if logged:
            # What has no record any more must not come again: its content may not be on the disk.
            self._folder.sync_removal(folder)
            self._log.void(logged)
        return removed

    def close(self) -> None:
        """Let go of the files that are open. Nothing is to be received any more."""
        self._log.close()

    def recover(self, deaths: Deaths = NO_DEATHS) -> Iterator[Instance]:
        """Yield every instance in the spool; what is not one goes to the quarantine.

        So does what earlier runs have died of. What the disk does not give back stays, for the next
        start, and so does what cannot be read for an unexpected reason. Raises SpoolUnavailable.
        """
        quarantined = unreadable = 0
        with _mapped_errors():
            for path in self._entries():
                try:
                    yield self._read_again(path, deaths)
                except FileNotFoundError:
                    continue
                except FileUnreadable:
                    unreadable += 1
                except (NotPart10, HeaderUnreadable):
                    self._quarantine.take(path)
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
                self._quarantine.path,
            )

    def _publish(self, file: IncomingPart10File, header: InstanceHeader) -> KeptAs:
        """Make a finished file durable and give it its name, never over another.

        When this returns, the instance may be acknowledged. Raises OSError; then it has no name.
        """
        name = _name(header.series_instance_uid, InstanceCopy(header.sop_instance_uid, file.digest))
        while not self._folder.claim(name):
            # Nothing is removed from under a comparison but by a release: then the name is free.
            file.write_out()
            with suppress(FileNotFoundError):
                if not is_same_data_set(self._files, file.path, self._folder.path_of(name)):
                    raise FileExistsError(errno.EEXIST, "another content has the same digest")
                file.discard()
                return KeptAs.REPEATED
        try:
            self._make_durable(file, name)
        finally:
            self._folder.give_back(name)
        return KeptAs.NEW

    def _make_durable(self, file: IncomingPart10File, name: str) -> None:
        """Do what the promise behind a C-STORE Success takes, in the order that it takes.

        Either the content is synced in the write-ahead log, and then the file gets its name; or the
        file is synced, gets its name, and then the folder is synced. Without a promise for the loss
        of power, it just gets its name.
        """
        entry = None
        if self._is_synced and file.content is not None:
            entry = self._log.append(name, file.content)
        try:
            file.write_out()
            if self._is_synced and entry is None:
                file.sync()
            file.close()
            self._folder.rename(file.path, name)
        except BaseException:
            if entry is not None:
                self._log.void([entry])
            raise
        if entry is not None:
            self._log.named(entry)
        elif self._is_synced:
            self._folder.sync_name(name)

    def _is_whole(self, name: str) -> bool:
        """Return whether a file is there, and what was received."""
        try:
            return not is_damaged(self._files, self._folder.path_of(name))
        except (FileNotFoundError, FileUnreadable):
            return False

    def _write_anew(self, name: str, content: bytes) -> None:
        """Give a file of the spool its content again, whatever is there. Raises OSError."""
        path = f"{self._incoming}/{next(self._numbers)}"
        fd = self._files.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(self._files, fd, content, 0)
        finally:
            self._files.close(fd)
        try:
            self._folder.rename(path, name)
        except IsADirectoryError:
            self._quarantine.take(self._folder.path_of(name))
            self._folder.rename(path, name)

    def _entries(self) -> Iterator[str]:
        for name in self._files.listdir(self._folder.path):
            folder = self._folder.path_of(name)
            try:
                if stat.S_ISDIR(self._files.lstat(folder).st_mode):
                    yield from (f"{folder}/{entry}" for entry in self._files.listdir(folder))
                else:
                    yield folder
            except FileNotFoundError:
                continue

    def _read_again(self, path: str, deaths: Deaths) -> Instance:
        if deaths.of("reading", path) >= WITH_CARE:
            raise NotPart10("earlier runs have died of it")
        unit = Unit()
        with contained(unit, _OF_A_FILE), deaths.noted("reading", path):
            return self._read(path)
        _log.error("a file of the spool cannot be read: %s", unit.failure)
        raise FileUnreadable

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


def _name(series_instance_uid: str, copy: InstanceCopy) -> str:
    return f"{folder_name(series_instance_uid)}/{file_name(copy)}"


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> SpoolUnavailable:
    return SpoolUnavailable(f"cannot use the spool: {error.strerror}")
