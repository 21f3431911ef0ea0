"""uvicorn as a part of a program that decides itself when to stop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


#: How many connections the kernel keeps until they are accepted.
BACKLOG = 2048


class UvicornServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the program already has one way to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve.

        asyncio takes for the backlog how many connections it accepts at a time, and workers take
        one, to leave the next to another: so the kernel is told the backlog itself.
        """
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
