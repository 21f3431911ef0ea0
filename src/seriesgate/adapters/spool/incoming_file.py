"""One instance on its way into the spool: in memory while it is small, then a temporary file."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.log_segment import write_all
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

#: Data sets up to this size, in bytes, are written in one piece; for larger ones it gains nothing.
SMALL = 64 * 1024
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class IncomingPart10File:
    """Implements `IncomingFile`: the data set bit for bit as it comes, with a head before it.

    The head is written last, with size and digest of the data set: only a file that is whole has
    one. `publish` makes the finished instance durable, and moves its file to its place.
    """

    def __init__(
        self,
        files: FileOperations,
        path: str,
        meta: FileMeta,
        publish: Callable[[IncomingPart10File, InstanceHeader], KeptAs],
    ) -> None:
        self.size = 0
        self.digest = b""
        self.path = path
        #: The whole file, once it is finished, if it is a small one.
        self.content: bytes | None = None
        self._files = files
        self._head_to_seal = encode_head_to_seal(meta)
        self._head_size = len(self._head_to_seal) + SEAL_SIZE
        self._digest = ContentDigest(meta.transfer_syntax_uid)
        self._publish = publish
        # The data set so far; empty once there is a file.
        self._pieces: list[bytes] = []
        self._fd = -1

    def write(self, fragment: bytes | memoryview) -> None:
        """Append a fragment. Raises SpoolUnavailable."""
        size = self.size + len(fragment)
        try:
            if size <= SMALL:
                self._pieces.append(bytes(fragment))
            else:
                if self._fd < 0:
                    self._open(b"".join(self._pieces), self._head_size)
                    self._pieces = []
                write_all(self._files, self._fd, fragment, self._head_size + self.size)
        except OSError as error:
            raise SpoolUnavailable(f"cannot write to the spool: {error.strerror}") from error
        self._digest.update(fragment)
        self.size = size

    def keep(self, header: InstanceHeader) -> KeptAs:
        """Make the file part of the spool, as durable as it promises. Raises SpoolUnavailable."""
        self.digest = self._digest.digest()
        head = self._head_to_seal + Seal(self.size, self.digest).to_bytes()
        try:
            if self._fd < 0:
                self.content = b"".join((head, *self._pieces))
                self._pieces = []
            else:
                write_all(self._files, self._fd, head, 0)
            return self._publish(self, header)
        except OSError as error:
            # A failed sync is final for this file: the kernel has dropped what it could not write,
            # and a second one would succeed without it.
            self.discard()
            raise SpoolUnavailable(f"cannot store in the spool: {error.strerror}") from error

    def write_out(self) -> None:
        """Have all of the finished instance in its file, a small one too. Raises OSError."""
        if self._fd < 0 and self.content is not None:
            self._open(self.content, 0)

    def sync(self) -> None:
        """Make what was written durable. Raises OSError."""
        self._files.fsync(self._fd)

    def close(self) -> None:
        """Close the file, which stays. Raises OSError."""
        fd, self._fd = self._fd, -1
        self._files.close(fd)

    def discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        self._pieces = []
        with suppress(OSError):
            if self._fd >= 0:
                self.close()
        with suppress(OSError):
            self._files.unlink(self.path)

    def _open(self, data: bytes, offset: int) -> None:
        self._fd = self._files.open(self.path, _OPEN, 0o600)
        if data:
            write_all(self._files, self._fd, data, offset)
