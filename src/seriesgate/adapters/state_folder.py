"""The folder that a gateway keeps its state in, and owns alone while it runs."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from pathlib import Path


class StateFolderUnusable(CannotStart):
    """The state folder cannot be used at all."""

    @classmethod
    def because(cls, path: str | os.PathLike[str], error: OSError) -> StateFolderUnusable:
        """Say what failed with the folder and what to do."""
        return cls(
            f"the state folder {path} cannot be used: {error.strerror}; "
            "set gateway.state_dir (--state-dir) to a folder that this user may write"
        )


class StateFolderInUse(StateFolderUnusable):
    """Another program has locked the state folder."""


class StateFolder:
    """Makes the folder `path` if need be, and locks it until `close`.

    `had_spool` says that an earlier gateway has received into it. Raises StateFolderUnusable when
    it cannot be made or written, or is in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.had_spool = (path / "spool").exists()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateFolderUnusable.because(path, error) from error
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_fd)
            raise StateFolderInUse(
                f"another gateway is already running on the state folder {path}: "
                "stop it, or give this one a folder of its own (--state-dir)"
            ) from error

    def close(self) -> None:
        """Let another gateway use the folder."""
        os.close(self._lock_fd)
