"""Bounds what uvicorn keeps of a request besides its body: 431 (RFC 6585 5), and the end.

uvicorn itself takes heads and trailers of any length, and any number of requests that come before
the first one is answered.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from seriesgate.server.http.problem import problem_response

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
"""How long a request's line and headers may be together."""
MAX_HEADERS = 100
"""How many headers a request may have."""
MAX_WAITING = 32
"""How many requests of a connection may wait for the answer to one before them."""

_SEPARATORS = 4  # a colon, a space, and the end of the line
# A refused client that goes on sending would not read the answer if it were cut off at once.
_LINGER = 1.0
_CLOSE = {"Connection": "close", "Cache-Control": "no-store"}


class _Refused(Exception):
    """Stops the parser."""


class BoundedHead(HttpToolsProtocol):
    """A connection that ends where one of the bounds is passed."""

    _in_head = True
    _refusal: tuple[HTTPStatus, str] | None = None
    _is_over = False
    # What came since the parser last gave something of which uvicorn, or nobody, keeps more.
    _unfinished = 0
    _has_finished = False

    def data_received(self, data: bytes) -> None:
        """Parse what came; no more than so many bytes may be in between."""
        if self._is_over:
            return
        self._has_finished = False
        super().data_received(data)
        if self._has_finished:
            self._unfinished = 0
            return
        self._unfinished += len(data)
        if self._unfinished > MAX_HEAD_BYTES and not self._is_over:
            self._refuse(*_TOO_LONG)

    def on_message_begin(self) -> None:
        """Expect a head."""
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer that comes behind the body means nothing here (RFC 9110 6.5)."""
        if not self._in_head:
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._stop_at(_TOO_MANY)

    def on_headers_complete(self) -> None:
        """Handle the request of a head, unless one of the bounds is passed."""
        self._in_head, self._has_finished = False, True
        length = sum(len(name) + len(value) + _SEPARATORS for name, value in self.headers)
        if len(self.url) + length > MAX_HEAD_BYTES:
            self._stop_at(_TOO_LONG)
        if len(self.pipeline) >= MAX_WAITING:
            self._stop_at(_NOT_WAITING)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, which has a bound of its own (see `body_limit`)."""
        self._has_finished = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is all here."""
        self._has_finished = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says little
        """Refuse what the parser has stopped at."""
        self._refuse(*(self._refusal or (HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")))

    def _stop_at(self, refusal: tuple[HTTPStatus, str]) -> None:
        self._refusal = refusal
        raise _Refused  # which the parser answers with `send_400_response`

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem, unless an answer has begun, and end the connection."""
        self._is_over = True
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
            return
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # so it answers no more
            cycle.message_event.set()
        self.transport.write(_answer(status, detail))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)


def _answer(status: HTTPStatus, detail: str) -> bytes:
    problem = problem_response(status, detail, headers=_CLOSE)
    headers = b"".join(b"%s: %s\r\n" % header for header in problem.raw_headers)
    return b"%s%s\r\n%s" % (STATUS_LINE[status], headers, bytes(problem.body))


_TOO_LONG = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"the request's line and headers are longer than {MAX_HEAD_BYTES} bytes",
)
_TOO_MANY = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"the request has more than {MAX_HEADERS} headers",
)
_NOT_WAITING = (
    HTTPStatus.TOO_MANY_REQUESTS,
    f"more than {MAX_WAITING} requests came before the first of them was answered",
)
