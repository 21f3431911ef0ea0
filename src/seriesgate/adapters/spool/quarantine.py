"""The quarantine: where entries of the spool go that are not what was received there."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.adapters.spool.file_operations import FileOperations


class Quarantine:
    """The folder `path`, which must be there. Every method may raise OSError."""

    def __init__(self, files: FileOperations, path: str) -> None:
        self.path = path
        self._files = files
        self._lock = threading.Lock()

    def count(self) -> int:
        """Return how many entries are in it."""
        return len(self._files.listdir(self.path))

    def take(self, path: str) -> None:
        """Move an entry out of the way, whatever it is: a link is moved, not followed."""
        number = self.count()
        with self._lock:
            with suppress(FileNotFoundError):
                while True:
                    target = f"{self.path}/{number}"
                    self._files.lstat(target)
                    number += 1
            self._files.rename(path, target)
