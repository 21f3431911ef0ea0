"""The spool: received instances as Part 10 files in a folder.

    <state>/spool/<hash of series>/<hash of instance>.dcm     complete, or absent
    <state>/incoming/<number>                                 under way; removed at start

No name is made of anything that came over the network: UIDs are hashed, and live in the files.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import logging
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.incoming_file import IncomingPart10File
from seriesgate.adapters.spool.part10 import (
    FileMeta,
    NotPart10,
    encode_head,
    is_same_data_set,
    read_head,
)
from seriesgate.gateway.ports import HeaderUnreadable, KeptAs, SeriesUnreadable
from seriesgate.series.model import Instance
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from seriesgate.gateway.ports import HeaderScanner, IncomingFile, StoreRequest
    from seriesgate.series.model import InstanceHeader

_log = logging.getLogger(__name__)

_SUFFIX = ".dcm"
_SCAN_PIECE = 16 * 1024


class Durability(StrEnum):
    """What an acknowledged instance survives."""

    #: A power failure: file and folder are synced before the acknowledgement.
    POWER = "power"
    #: A crash of the program, not of the machine: written to the page cache.
    PROCESS = "process"


class SpoolUnusable(CannotStart):
    """The state folder cannot be used at all."""


def _hash(uid: str) -> str:
    return hashlib.blake2b(uid.encode(), digest_size=16).hexdigest()


class FileSpool:
    """Implements `InstanceSpool` on the folder `state_dir`, which it locks against other gateways.

    Raises SpoolUnusable when the folder cannot be made or written, or is in use.
    """

    def __init__(
        self,
        state_dir: Path,
        durability: Durability,
        scanner_for: Callable[[str], HeaderScanner],
    ) -> None:
        self._root = str(state_dir / "spool")
        self._incoming = str(state_dir / "incoming")
        self._is_synced = durability is Durability.POWER
        self._scanner_for = scanner_for
        self._numbers = itertools.count()
        # Guards the names in the spool: what exists, what is made, what is removed.
        self._names = threading.Lock()
        self._synced_folders: set[str] = set()
        try:
            for folder in (state_dir, state_dir / "spool", state_dir / "incoming"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = os.open(
                state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise SpoolUnusable(
                f"the state folder {state_dir} cannot be used: {error.strerror}; "
                "set gateway.state_dir (--state-dir) to a folder that this user may write"
            ) from error
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_fd)
            raise SpoolUnusable(
                f"another gateway is already running on the state folder {state_dir}: "
                "stop it, or give this one a folder of its own (--state-dir)"
            ) from error
        for name in os.listdir(self._incoming):
            os.unlink(os.path.join(self._incoming, name))

    def close(self) -> None:
        """Let another gateway use the folder."""
        os.close(self._lock_fd)

    def create(self, request: StoreRequest) -> IncomingFile:
        """Begin to receive an instance."""
        head = encode_head(
            FileMeta(
                sop_class_uid=request.sop_class_uid,
                sop_instance_uid=request.sop_instance_uid,
                transfer_syntax_uid=request.transfer_syntax_uid,
                source_ae_title=request.calling_ae_title,
            )
        )
        path = f"{self._incoming}/{next(self._numbers)}"
        return IncomingPart10File(path, head, self._publish, is_synced=self._is_synced)

    def sample(self, series_instance_uid: str) -> Path:
        """Return the file of one instance of a series. Raises SeriesUnreadable if there is none."""
        folder = Path(self._root, _hash(series_instance_uid))
        try:
            return folder / min(os.listdir(folder))
        except (OSError, ValueError) as error:
            raise SeriesUnreadable("its files are not in the spool") from error

    def release(self, series_instance_uid: str, sop_instance_uids: Iterable[str]) -> None:
        """Remove delivered instances, their conflicting copies, and the folder once it is empty."""
        folder = f"{self._root}/{_hash(series_instance_uid)}"
        released = {_hash(uid) for uid in sop_instance_uids}
        with suppress(FileNotFoundError):
            for name in os.listdir(folder):
                if name.partition(".")[0] in released:
                    os.unlink(f"{folder}/{name}")
        with self._names, suppress(OSError):
            os.rmdir(folder)
            self._synced_folders.discard(folder)

    def recover(self) -> Iterator[Instance]:
        """Yield every complete instance; what is not one of ours is left alone and logged."""
        foreign = 0
        for folder in os.scandir(self._root):
            if not folder.is_dir(follow_symlinks=False):
                foreign += 1
                continue
            for entry in os.scandir(folder.path):
                instance = self._recovered(folder.name, entry)
                if instance is None:
                    foreign += 1
                else:
                    yield instance
        if foreign:
            _log.error("%d entries in the spool are not instances and are left alone", foreign)

    def _publish(self, temporary: str, header: InstanceHeader) -> KeptAs:
        """Move a finished file to its place, never over another. The order here is the promise.

        The file itself is already synced; then the name is made, then the folder is synced. Only
        when this returns may the instance be acknowledged.
        """
        folder = f"{self._root}/{_hash(header.series_instance_uid)}"
        stem = f"{folder}/{_hash(header.sop_instance_uid)}"
        number = 0
        while not self._claim(temporary, folder, path := _copy_path(stem, number)):
            try:
                is_same = is_same_data_set(temporary, path)
            except FileNotFoundError:
                # Its first copy was delivered and released a moment ago: the name is free again.
                if os.path.lexists(path):
                    raise
                continue
            if is_same:
                os.unlink(temporary)
                return self._known_copy(folder, number)
            number += 1
        if self._is_synced:
            self._sync_folder(folder)
        return KeptAs.CONFLICTING if number else KeptAs.NEW

    def _known_copy(self, folder: str, number: int) -> KeptAs:
        """Make sure of the copy that is there: its own thread may not have synced it yet."""
        if self._is_synced:
            # Without a folder there is no copy any more: it was delivered and released.
            with suppress(FileNotFoundError):
                self._sync_folder(folder)
        return KeptAs.CONFLICTING if number else KeptAs.REPEATED

    def _claim(self, temporary: str, folder: str, path: str) -> bool:
        with self._names:
            if os.path.lexists(path):
                return False
            try:
                os.rename(temporary, path)
            except FileNotFoundError:
                os.mkdir(folder, 0o700)
                os.rename(temporary, path)
            return True

    def _sync_folder(self, folder: str) -> None:
        if folder not in self._synced_folders:
            _fsync_path(self._root)
            self._synced_folders.add(folder)
        _fsync_path(folder)

    def _recovered(self, folder_name: str, entry: os.DirEntry[str]) -> Instance | None:
        try:
            fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                meta = read_head(file)
                head_size = file.tell()
                header = self._scan(file, meta.transfer_syntax_uid)
                status = os.fstat(fd)
        except (OSError, NotPart10, HeaderUnreadable):
            return None
        stem = entry.name.removesuffix(_SUFFIX)
        hash_of_instance, _, number = stem.partition(".")
        if (_hash(header.series_instance_uid), _hash(header.sop_instance_uid)) != (
            folder_name,
            hash_of_instance,
        ):
            return None
        return Instance(
            header=header,
            calling_ae_title=meta.source_ae_title,
            size=status.st_size - head_size,
            stored_at=datetime.fromtimestamp(status.st_mtime, UTC),
            is_conflict=bool(number),
        )

    def _scan(self, file: BinaryIO, transfer_syntax_uid: str) -> InstanceHeader:
        scanner = self._scanner_for(transfer_syntax_uid)
        while piece := file.read(_SCAN_PIECE):
            header = scanner.feed(piece)
            if header is not None:
                return header
        return scanner.finish()


def _copy_path(stem: str, number: int) -> str:
    return f"{stem}.{number}{_SUFFIX}" if number else f"{stem}{_SUFFIX}"


def _fsync_path(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
