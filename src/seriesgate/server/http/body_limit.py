"""Bounds a request's body before anyone parses it: its size, its encoding, the time it takes.

And those of all requests together: their size.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.http.problem import ProblemError, problem_response
from seriesgate.server.http.upload_memory import UploadMemory, give_memory_back

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from seriesgate.server.bulkheads import TaskBulkhead


#: The name of giving back among the server's tasks.
TASK = "giving memory back"
# The rest of a refused body is not worth reading, and must not be taken for the next request.
_CLOSE = {"Connection": "close"}
_TOO_LARGE = "the body is too large"
_NO_ROOM = "too many bodies come at a time, and this one has taken longest"
_RETRY_AFTER = {"Retry-After": "5"}  # seconds
_MOST_IN_ALL = 64 * 2**20
# So long after the last of many bodies its pieces are free, in seconds.
_GIVE_BACK_AFTER = 0.5


class BodyLimitMiddleware:
    """Refuses bodies over `max_bytes`, encoded ones, and those that take over `timeout` seconds.

    A body that tells a length over the limit is refused before it is read. One that does not
    (chunked), is refused when it passes the limit, so that no more than `max_bytes` is ever kept.
    The bodies of all requests together keep no more than `most_in_all`; that they are given back
    is contained by `bulkhead`.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        timeout: float,
        most_in_all: int = _MOST_IN_ALL,
        *,
        bulkhead: TaskBulkhead | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._bulkhead = bulkhead or Bulkheads().task(TASK)
        self._memory = UploadMemory(most_in_all, self._give_back_soon)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif refusal := self._refusal(dict(scope["headers"])):
            await refusal(scope, receive, send)
        else:
            bounded = _BoundedReceive(receive, self._max_bytes, self._timeout, self._memory)
            try:
                await self._app(scope, bounded, send)
            finally:
                self._memory.let_go(bounded)

    def _give_back_soon(self) -> None:
        asyncio.get_running_loop().call_later(_GIVE_BACK_AFTER, self._give_back)

    def _give_back(self) -> None:
        with self._bulkhead.unit():
            give_memory_back()

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

    def __init__(
        self, receive: Receive, max_bytes: int, timeout: float, memory: UploadMemory
    ) -> None:
        self._receive = receive
        self._bytes_left = max_bytes
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._memory = memory
        self._complete = False
        self._is_cut = False
        self._wait: asyncio.Timeout | None = None

    async def __call__(self) -> Message:
        if self._complete:  # what comes now is the client's disconnect, whenever that may be
            return await self._receive()
        if self._is_cut:
            raise self._refusal()
        try:
            async with asyncio.timeout_at(self._deadline) as self._wait:
                message = await self._receive()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._wait = None
        count = len(message.get("body", b""))
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, headers=_CLOSE)
        if count:
            self._memory.take(self, count)
        if self._is_cut:
            raise self._refusal()
        self._complete = not message.get("more_body", False)
        if self._complete:
            self._memory.completed(self)
        return message

    def cut(self) -> None:
        """Refuse the body, whether a piece of it is waited for or not."""
        self._is_cut = True
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())

    def _refusal(self) -> ProblemError:
        if self._is_cut:
            headers = _CLOSE | _RETRY_AFTER
            return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, _NO_ROOM, headers=headers)
        return ProblemError(HTTPStatus.REQUEST_TIMEOUT, "the body took too long", headers=_CLOSE)
