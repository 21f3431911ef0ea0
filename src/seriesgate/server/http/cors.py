"""CORS (WHATWG Fetch, 3.2): which web pages may read the answers of QIDO-RS in a browser."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ANY = "*"
_METHODS = "GET, HEAD"
# Of a request: those that a viewer sends and a browser would hold back otherwise.
_ALLOWED_HEADERS = "Accept, Authorization"
_EXPOSED_HEADERS = "Warning, WWW-Authenticate"
_MAX_AGE = "600"


class CorsMiddleware:
    """Lets pages of `origins` read the answers to requests whose path starts with `prefix`.

    A listed origin may send credentials; with `*` any page may ask, and none may send them. The
    token of a request is none of these: a page has to know it. For no origin all stays as it is.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], prefix: str) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if (
            not self._origins
            or scope["type"] != "http"
            or not scope["path"].startswith(self._prefix)
        ):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        allowed = self._allowed(origin)
        is_preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        if is_preflight and allowed:
            await _preflight(allowed)(scope, receive, send)
            return

        async def send_allowing(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = allowed | {"Access-Control-Expose-Headers": _EXPOSED_HEADERS}
                added = {"Vary": "Origin"} | (given if allowed else {})
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode(), value.encode()) for name, value in added.items()),
                ]
            await send(message)

        await self._app(scope, receive, send_allowing)

    def _allowed(self, origin: str) -> dict[str, str]:
        """Return the headers that allow an origin; none where it is not allowed."""
        if origin and _ANY in self._origins:
            return {"Access-Control-Allow-Origin": _ANY}
        if origin in self._origins:
            return {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Credentials": "true",
            }
        return {}


def _preflight(allowed: dict[str, str]) -> Response:
    headers = allowed | {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        "Access-Control-Max-Age": _MAX_AGE,
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
