"""A connection of uvicorn with bounds on slowness that uvicorn itself does not have.

It waits for ever for the head of a request and for a reader of an answer; either way a few hundred
idle sockets of one client would be all the connections that a server has.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEAD_TIMEOUT = 30.0
"""How long the head of a request may take, from the connection or its first byte, in seconds."""
STALL_TIMEOUT = 20.0
"""A reader that takes nothing of an answer for so many seconds is cut off."""

_log = logging.getLogger(__name__)


class HttpConnection(HttpToolsProtocol):
    """One connection. It is cut off, not closed: nobody reads what would still be said."""

    _in_head = True
    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head, where not all of it has come at once, as nearly always."""
        super().data_received(data)
        if self._in_head and self._head is None and not self.transport.is_closing():
            self._expect_head()

    def on_message_begin(self) -> None:
        """The first byte of a request has come."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Handle a request; its body has a bound of its own (see `body_limit`)."""
        self._in_head = False
        self._stop_expecting()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Watch the reader: what it has not taken yet is as much as may wait here."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The reader has taken enough."""
        self._stop_watching()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_expecting()
        self._stop_watching()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(HEAD_TIMEOUT, self.transport.abort)

    def _watch(self, waiting: int) -> None:
        self._stall = self.loop.call_later(STALL_TIMEOUT, self._judge, waiting)

    def _judge(self, waited: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < waited:
            self._watch(waiting)
            return
        _log.warning("a reader took nothing of its answer for %g s and is cut off", STALL_TIMEOUT)
        self.transport.abort()

    def _stop_expecting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_watching(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
