"""The few operations of a file system that the spool is made of.

The module `os` is the real one. Every durable effect of the spool goes through this port, so that
tests can fail each operation in turn, or lose what was not synced.
"""

from __future__ import annotations

from typing import Protocol


class FileStatus(Protocol):
    """What the spool wants to know of a file: of `os.stat_result`."""

    @property
    def st_mode(self) -> int:
        """Kind and permissions."""

    @property
    def st_size(self) -> int:
        """Length in bytes."""

    @property
    def st_mtime(self) -> float:
        """Time of the last change, in seconds since 1970."""


class VolumeStatus(Protocol):
    """What the spool wants to know of its volume: of `os.statvfs_result`."""

    @property
    def f_bavail(self) -> int:
        """Free blocks for this user."""

    @property
    def f_frsize(self) -> int:
        """Bytes in a block."""


class FileOperations(Protocol):
    """Operations with the names, arguments and errors (OSError) that they have in `os`."""

    def open(self, path: str, flags: int, mode: int = ..., /) -> int:
        """Return a file descriptor."""

    def close(self, fd: int, /) -> None:
        """Close a file descriptor."""

    def read(self, fd: int, length: int, /) -> bytes:
        """Return up to `length` bytes; none at the end."""

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int, /) -> int:
        """Write at an offset; return how many bytes were written, durable ones with O_DSYNC."""

    def pread(self, fd: int, length: int, offset: int, /) -> bytes:
        """Return up to `length` bytes from an offset; fewer only at the end."""

    def fsync(self, fd: int, /) -> None:
        """Return once the file or folder is durable."""

    def fstat(self, fd: int, /) -> FileStatus:
        """Return the status of an open file."""

    def lstat(self, path: str, /) -> FileStatus:
        """Return the status of an entry, not of what it links to."""

    def access(self, path: str, mode: int, /, *, follow_symlinks: bool) -> bool:
        """Return whether an entry is there; `mode` is F_OK. That it can't be told is no error."""

    def rename(self, source: str, destination: str, /) -> None:
        """Rename, over what may be there."""

    def unlink(self, path: str, /) -> None:
        """Remove a file."""

    def mkdir(self, path: str, mode: int = ..., /) -> None:
        """Make a folder."""

    def rmdir(self, path: str, /) -> None:
        """Remove an empty folder."""

    def listdir(self, path: str, /) -> list[str]:
        """Return the names in a folder."""

    def statvfs(self, path: str, /) -> VolumeStatus:
        """Return the status of the volume."""
