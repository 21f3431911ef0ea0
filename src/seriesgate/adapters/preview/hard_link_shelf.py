"""Where an instance waits for its picture: a second name of its file, which a release leaves."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.adapters.state_folder import StateFolderUnusable
from seriesgate.gateway.ports import NoPreview

if TYPE_CHECKING:
    from pathlib import Path


class HardLinkShelf:
    """Implements `PreviewShelf` in a folder on the disk of the spool.

    What an earlier run has left there is removed. Raises StateFolderUnusable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in folder.iterdir():
                left.unlink()
        except OSError as error:
            raise StateFolderUnusable.because(folder, error) from error

    def keep(self, source: Path) -> Path:
        """Give the file a second name. Raises NoPreview."""
        path = self._folder / str(next(self._numbers))
        try:
            path.hardlink_to(source)
        except OSError as error:
            raise NoPreview(f"its file cannot be kept for one ({error.strerror})") from error
        return path

    def discard(self, path: Path) -> None:
        """Remove the second name. What cannot be removed now is at the next start."""
        with suppress(OSError):
            path.unlink()
