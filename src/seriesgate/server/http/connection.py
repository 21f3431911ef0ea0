"""A connection of uvicorn with bounds that uvicorn itself does not have.

It waits for ever for the head of a request and for a reader of an answer, and takes any number of
connections of one client; either way a few hundred idle sockets of that client would be all that a
server has. The gateway's administration and the server are both served with it.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import WeakKeyDictionary

from seriesgate.server.http.head_limit import BoundedHead
from seriesgate.server.http.places import share_of, who_must_go

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

HEAD_TIMEOUT = 30.0
"""How long the head of a request may take, from the connection or its first byte, in seconds."""
STALL_TIMEOUT = 20.0
"""A reader that takes nothing of an answer for so many seconds is cut off."""

# So often it is said that connections are cut off to make room, in seconds.
_MENTION_EVERY = 60.0

_log = logging.getLogger(__name__)


class HttpConnection(BoundedHead):
    """One connection. It is cut off, not closed: nobody reads what would still be said.

    `share` is how many connections one address may have; None: half of all.
    """

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    # When a listener last said that it makes room.
    _mentioned_at: ClassVar[WeakKeyDictionary[ServerState, float]] = WeakKeyDictionary()

    def __init__(self, *arguments: Any, share: int | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._share = share

    @property
    def address(self) -> str:
        """The address of the client, or of the proxy it comes by."""
        return self.client[0] if self.client else ""

    @property
    def waits_since(self) -> float | None:
        """Since when it waits for the head of a request; None while one is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        is_at_work = cycle is not None and not cycle.response_complete
        has_to_write = self.transport.get_write_buffer_size() > 0
        return None if is_at_work or has_to_write else self._waits_since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request, and make room for it."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._expect_head()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head, where not all of it has come at once, as nearly always."""
        super().data_received(data)
        is_ending = self._is_over or self.transport.is_closing()
        if self._in_head and self._head is None and not is_ending:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Handle a request; its body has a bound of its own (see `body_limit`)."""
        self._stop_expecting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Expect the next request."""
        self._waits_since = self.loop.time()
        super().on_response_complete()

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

    def _make_room(self) -> None:
        """Cut a connection off if there are too many, of this client or at all."""
        limit = self.limit_concurrency
        if limit is None:
            return
        is_proxy = self.config.proxy_headers and _is_within(
            self.address, tuple(self.config.forwarded_allow_ips or ())
        )
        share = limit if is_proxy else self._share or share_of(limit)
        all_here = cast("set[HttpConnection]", self.connections)  # so this listener was set up
        gone = who_must_go(self, all_here, limit, share)
        if gone is None:
            return
        now = self.loop.time()
        if now >= self._mentioned_at.get(self.server_state, 0.0) + _MENTION_EVERY:
            self._mentioned_at[self.server_state] = now
            _log.warning(
                "too many connections: idle ones are cut off, at present of %s", gone.address
            )
        # At once: what is cut off must not be counted when the next one comes.
        gone.connections.discard(gone)
        gone.transport.abort()

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


@lru_cache(256)
def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(address) in ip_network(network) for network in networks)
    except ValueError:  # a Unix socket
        return False
