"""One instance on its way into the spool: a temporary file that grows as the data set arrives."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.part10 import (
    SEAL_SIZE,
    ContentDigest,
    FileMeta,
    Seal,
    encode_head_to_seal,
)
from seriesgate.gateway.ports import SpoolUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.adapters.spool.file_operations import FileOperations
    from seriesgate.gateway.ports import KeptAs
    from seriesgate.series.model import InstanceHeader

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class IncomingPart10File:
    """Implements `IncomingFile`: the data set bit for bit as it comes, then the head before it.

    The head is written last, with size and digest of the data set: only a file that is whole has
    one. `publish` moves the finished temporary file to its place.
    """

    def __init__(
        self,
        files: FileOperations,
        path: str,
        meta: FileMeta,
        publish: Callable[[str, InstanceHeader, bytes], KeptAs],
        *,
        is_synced: bool,
    ) -> None:
        self.size = 0
        self.digest = b""
        self._files = files
        self._path = path
        self._head_to_seal = encode_head_to_seal(meta)
        self._head_size = len(self._head_to_seal) + SEAL_SIZE
        self._content = ContentDigest(meta.transfer_syntax_uid)
        self._publish = publish
        self._is_synced = is_synced
        try:
            self._fd = files.open(path, _OPEN, 0o600)
        except OSError as error:
            raise SpoolUnavailable(
                f"cannot create a file in the spool: {error.strerror}"
            ) from error

    def write(self, fragment: bytes | memoryview) -> None:
        """Append a fragment. Raises SpoolUnavailable."""
        try:
            self._write_at(self._head_size + self.size, fragment)
        except OSError as error:
            raise SpoolUnavailable(f"cannot write to the spool: {error.strerror}") from error
        self._content.update(fragment)
        self.size += len(fragment)

    def keep(self, header: InstanceHeader) -> KeptAs:
        """Make the file part of the spool. Raises SpoolUnavailable.

        This order is the promise behind a C-STORE Success: the file is whole and synced, then it
        gets its name, then the folder is synced (`publish`). Only then may it be acknowledged.
        """
        self.digest = self._content.digest()
        try:
            self._write_at(0, self._head_to_seal + Seal(self.size, self.digest).to_bytes())
            if self._is_synced:
                self._files.fsync(self._fd)
            fd, self._fd = self._fd, -1
            self._files.close(fd)
            return self._publish(self._path, header, self.digest)
        except OSError as error:
            # A failed fsync is final for this file: the kernel has dropped what it could not write,
            # and a second fsync would succeed without it.
            self.discard()
            raise SpoolUnavailable(f"cannot store in the spool: {error.strerror}") from error

    def discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        with suppress(OSError):
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                self._files.close(fd)
        with suppress(OSError):
            self._files.unlink(self._path)

    def _write_at(self, offset: int, data: bytes | memoryview) -> None:
        written = self._files.pwrite(self._fd, data, offset)
        if written < len(data):
            self._write_rest(offset + written, memoryview(data)[written:])

    def _write_rest(self, offset: int, data: memoryview) -> None:
        while data:
            written = self._files.pwrite(self._fd, data, offset)
            offset += written
            data = data[written:]
