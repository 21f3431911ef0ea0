"""uvicorn as a part of a program that decides itself when to stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


#: How many connections the kernel keeps until they are accepted.
BACKLOG = 2048
#: How often a server that stops looks for connections that have come late, in seconds.
_LATE_PERIOD = 0.1


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to serve: each connection ends when what was begun on it is answered.

        uvicorn says so to the connections that are there at that moment. One that was accepted just
        before is not among them: it would be served on, until the time is up and its request is
        answered with 500.
        """
        late = asyncio.create_task(self._end_late_connections())
        try:
            await super().shutdown(sockets)
        finally:
            late.cancel()

    async def _end_late_connections(self) -> None:
        while True:
            await asyncio.sleep(_LATE_PERIOD)
            for connection in list(self.server_state.connections):
                connection.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
