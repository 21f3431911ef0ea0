"""One instance on its way into the spool: a temporary file that grows as the data set arrives."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import SpoolUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.gateway.ports import KeptAs
    from seriesgate.series.model import InstanceHeader


class IncomingPart10File:
    """Implements `IncomingFile`: `head` in front, then the data set bit for bit as it comes.

    `publish` moves the finished temporary file to its place and says what was there before.
    """

    def __init__(
        self,
        path: str,
        head: bytes,
        publish: Callable[[str, InstanceHeader], KeptAs],
        *,
        is_synced: bool,
    ) -> None:
        self.size = 0
        self._path = path
        self._head = head
        self._publish = publish
        self._is_synced = is_synced
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpoolUnavailable(
                f"cannot create a file in the spool: {error.strerror}"
            ) from error

    def write(self, fragment: bytes | memoryview) -> None:
        """Append a fragment. Raises SpoolUnavailable."""
        try:
            if self._head:
                # One call for the head and the first fragment, which often is the whole data set.
                written = os.writev(self._fd, (self._head, fragment)) - len(self._head)
                if written < 0:
                    self._write_all(self._head[written:])
                    written = 0
                self._head = b""
            else:
                written = os.write(self._fd, fragment)
            if written < len(fragment):
                self._write_all(memoryview(fragment)[written:])
        except OSError as error:
            raise SpoolUnavailable(f"cannot write to the spool: {error.strerror}") from error
        self.size += len(fragment)

    def keep(self, header: InstanceHeader) -> KeptAs:
        """Make the file part of the spool. Raises SpoolUnavailable."""
        try:
            if self._is_synced:
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
            return self._publish(self._path, header)
        except OSError as error:
            # A failed fsync is final for this file: the kernel has dropped what it could not write,
            # and a second fsync would succeed without it.
            self.discard()
            raise SpoolUnavailable(f"cannot store in the spool: {error.strerror}") from error

    def discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with suppress(OSError):
            os.unlink(self._path)

    def _write_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
