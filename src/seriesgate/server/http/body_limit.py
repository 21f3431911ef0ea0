"""Bounds a request's body before anyone parses it: its size, its encoding, the time it takes."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from seriesgate.server.http.problem import ProblemError, problem_response

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The rest of a refused body is not worth reading, and must not be taken for the next request.
_CLOSE = {"Connection": "close"}
_TOO_LARGE = "the body is too large"


class BodyLimitMiddleware:
    """Refuses bodies over `max_bytes`, encoded ones, and those that take over `timeout` seconds.

    A body that tells a length over the limit is refused before it is read. One that does not
    (chunked), is refused when it passes the limit, so that no more than `max_bytes` is ever kept.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif refusal := self._refusal(dict(scope["headers"])):
            await refusal(scope, receive, send)
        else:
            bounded = _BoundedReceive(receive, self._max_bytes, self._timeout)
            await self._app(scope, bounded, send)

    def _refusal(self, headers: dict[bytes, bytes]) -> Response | None:
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            return problem_response(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "the body must not be compressed",
                headers=_CLOSE | {"Accept-Encoding": "identity"},  # RFC 9110, 15.5.16
            )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return problem_response(
                HTTPStatus.BAD_REQUEST, "Content-Length is not a number", headers=_CLOSE
            )
        # By digits first: the conversion of a very long number is an attack of its own.
        if len(length) > len(str(self._max_bytes)) or int(length) > self._max_bytes:
            return problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, headers=_CLOSE)
        return None


class _BoundedReceive:
    """The `receive` of one request, which ends with a problem where a bound is passed."""

    def __init__(self, receive: Receive, max_bytes: int, timeout: float) -> None:
        self._receive = receive
        self._bytes_left = max_bytes
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:  # what comes now is the client's disconnect, whenever that may be
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ProblemError(
                HTTPStatus.REQUEST_TIMEOUT, "the body took too long", headers=_CLOSE
            ) from None
        self._complete = not message.get("more_body", False)
        self._bytes_left -= len(message.get("body", b""))
        if self._bytes_left < 0:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, headers=_CLOSE)
        return message
