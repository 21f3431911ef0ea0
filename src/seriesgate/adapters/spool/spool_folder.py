"""The folder of the spool: who gives a file its name, and when that lasts.

A name is `<hash of series>/<hash of instance>.dcm`, relative to the folder.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seriesgate.adapters.spool.file_operations import FileOperations

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class SpoolFolder:
    """The folder `path`, which must be there. Safe for many threads; methods may raise OSError."""

    def __init__(self, files: FileOperations, path: str) -> None:
        self.path = path
        self._files = files
        # Guards the names: what exists, what is made, what is removed. The lock by itself, where
        # nobody is to be woken: entering the condition takes several times as long.
        self._names = threading.Lock()
        self._given_back = threading.Condition(self._names)
        self._waiting = 0
        # Names that are about to be given, or do not last yet.
        self._claimed: set[str] = set()
        self._synced_folders: set[str] = set()

    def path_of(self, name: str) -> str:
        """Return where the file of a name is."""
        return f"{self.path}/{name}"

    def claim(self, name: str) -> bool:
        """Claim a name, which nobody else may give then; False if a file has it that will last.

        `give_back` must follow a claim.
        """
        with self._names:
            while name in self._claimed:
                self._waiting += 1
                self._given_back.wait()
                self._waiting -= 1
            # Nearly always there is none: to raise that and catch it would cost more than to ask.
            if self._files.access(f"{self.path}/{name}", os.F_OK, follow_symlinks=False):
                return False
            self._claimed.add(name)
            return True

    def give_back(self, name: str) -> None:
        """End a claim: the name is given and lasts, or it is free."""
        with self._names:
            self._claimed.discard(name)
            if self._waiting:
                self._given_back.notify_all()

    def rename(self, path: str, name: str) -> None:
        """Give the file `path` a name, over whatever file has it."""
        with self._names:
            try:
                self._files.rename(path, f"{self.path}/{name}")
            except FileNotFoundError:
                self._files.mkdir(f"{self.path}/{name.partition('/')[0]}", 0o700)
                self._files.rename(path, f"{self.path}/{name}")

    def sync_name(self, name: str) -> None:
        """Make a name last; if that fails, it is taken away: a resend must not meet it."""
        folder = name.partition("/")[0]
        try:
            if folder not in self._synced_folders:
                sync_folder(self._files, self.path)
                self._synced_folders.add(folder)
            sync_folder(self._files, f"{self.path}/{folder}")
        except OSError:
            with suppress(OSError):
                self._files.unlink(f"{self.path}/{name}")
            raise

    def remove(self, folder: str, names: Iterable[str]) -> int:
        """Remove files of a folder in it, and the folder once it is empty; return how many went."""
        removed = 0
        for name in names:
            with suppress(FileNotFoundError):
                self._files.unlink(f"{self.path}/{name}")
                removed += 1
        with self._names, suppress(OSError):
            self._files.rmdir(f"{self.path}/{folder}")
            self._synced_folders.discard(folder)
        return removed

    def sync_removal(self, folder: str) -> None:
        """Make it last that files of a folder in it, or the whole of it, are gone."""
        with suppress(FileNotFoundError):
            sync_folder(self._files, f"{self.path}/{folder}")
        sync_folder(self._files, self.path)


def sync_folder(files: FileOperations, path: str) -> None:
    """Return once the names in a folder are durable. Raises OSError."""
    fd = files.open(path, _FOLDER)
    try:
        files.fsync(fd)
    finally:
        files.close(fd)
