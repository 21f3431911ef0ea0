"""A note of what is being done, in a file of which the kernel keeps the content when we die."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 64


class UnderWayFile:
    """Implements `UnderWay` in the file `path`. To note something is a write to memory.

    It need not outlive the loss of power: that is nothing that a unit of work has done. Raises
    CannotStart.
    """

    def __init__(self, path: Path) -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, _SIZE)
                self._memory = mmap.mmap(fd, _SIZE)
            finally:
                os.close(fd)
        except OSError as error:
            raise CannotStart(f"cannot use {path}: {error.strerror}") from error
        #: What an earlier run was doing when it died; None if it ended in good order.
        self.left = self._memory[:].rstrip(b"\0").decode("ascii", "replace") or None
        self.end()

    def begin(self, unit_id: str) -> None:
        """Note what is being done now."""
        self._memory[:] = unit_id.encode("ascii").ljust(_SIZE, b"\0")

    def end(self) -> None:
        """Note that it is done."""
        self._memory[:] = bytes(_SIZE)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
