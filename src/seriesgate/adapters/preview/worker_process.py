"""The gateway's side of the process that makes pictures.

A decoder may crash, hang or want all memory, whatever the file: so it works in a process of its
own, with bounds that the system holds, which is killed when a picture takes too long.

    to the worker      path of a file, and a line feed
    from the worker    1 byte (1: a picture, 0: none), 4 bytes length (big-endian), PNG or reason
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import NoPreview

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence
    from pathlib import Path

_COMMAND = (sys.executable, "-m", "seriesgate.adapters.preview.worker")
#: How long a picture may be, in bytes: what the server takes.
MAX_PICTURE = 256 * 1024
_HEAD = 5


class PreviewWorker:
    """Implements `PreviewRenderer`. The process is started with the first picture.

    `time_limit` bounds one picture in seconds, the start of the process included.
    """

    def __init__(self, time_limit: float = 20.0, command: Sequence[str] = _COMMAND) -> None:
        self._time_limit = time_limit
        self._command = command
        self._process: Process | None = None

    async def render(self, path: Path) -> bytes:
        """Have a picture made. Raises NoPreview."""
        try:
            async with asyncio.timeout(self._time_limit):
                is_picture, content = await self._ask(path)
        except TimeoutError:
            await self.rest()
            raise NoPreview(f"it takes more than {self._time_limit:g} s to make") from None
        except (OSError, EOFError, ValueError):
            await self.rest()
            raise NoPreview("the process that makes it ended or cannot be started") from None
        except asyncio.CancelledError:
            await self.rest()
            raise
        if not is_picture:
            raise NoPreview(content.decode("ascii", "replace"))
        return content

    async def rest(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _ask(self, path: Path) -> tuple[bool, bytes]:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the gateway, which then ends the worker
            )
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        process.stdin.write(os.fsencode(path) + b"\n")
        await process.stdin.drain()
        head = await process.stdout.readexactly(_HEAD)
        length = int.from_bytes(head[1:])
        if length > MAX_PICTURE:
            raise ValueError("no picture is that long")
        return head[0] == 1, await process.stdout.readexactly(length)


def _environment() -> dict[str, str]:
    """Give the worker no secret of the gateway's, and libraries no second thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SERIESGATE_")}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return kept | dict.fromkeys(threads, "1")
