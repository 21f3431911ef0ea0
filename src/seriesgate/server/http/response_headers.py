"""Headers that every answer has, whatever route or layer gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = (
    # Patient data: no proxy or browser may keep it.
    (b"cache-control", b"no-store"),
    # What is served is never run as a page or a script, whatever bytes a peer put into it.
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
# RFC 6797: once a browser has come by TLS, it comes by nothing else for a year.
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")


class ResponseHeadersMiddleware:
    """Adds each header that an answer does not set itself, such as the policy of a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = (*_HEADERS, _HTTPS_ONLY) if scope["scheme"] == "https" else _HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                present = {name for name, _ in headers}
                message["headers"] = [
                    *headers,
                    *(header for header in wanted if header[0] not in present),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)
