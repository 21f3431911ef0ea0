"""Whether the volume of the spool has room: instances are refused before it is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.adapters.spool.file_operations import FileOperations

# Once it was low, so much more than the minimum must be free again: no flutter at the border.
_RECOVERY = 1.05
# While there is room, it is looked at once in so many instances.
_INTERVAL = 32


class FreeSpace:
    """Watches that `min_free_bytes` stay free on the volume of the folder `path`."""

    def __init__(self, files: FileOperations, path: str, min_free_bytes: int) -> None:
        self._files = files
        self._path = path
        self._min_free_bytes = min_free_bytes
        self._is_low = False
        self._unseen = 0

    def free_bytes(self) -> int:
        """Return how many bytes are free for this user. Raises OSError."""
        status = self._files.statvfs(self._path)
        return status.f_bavail * status.f_frsize

    def is_low(self) -> bool:
        """Look now. Raises OSError."""
        needed = self._min_free_bytes * (_RECOVERY if self._is_low else 1.0)
        self._is_low = self.free_bytes() < needed
        self._unseen = 0
        return self._is_low

    def was_low(self) -> bool:
        """Look now and then, and always while it is low: for each instance. Raises OSError."""
        self._unseen += 1
        if self._is_low or self._unseen >= _INTERVAL:
            return self.is_low()
        return False
