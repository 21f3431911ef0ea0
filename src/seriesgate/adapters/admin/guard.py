"""Who may use the administration: this machine's users, or those with the token.

A web page that a user of this machine has open must not get in: not by a name that leads here (DNS
rebinding), and not by a form that it sends here (cross-site request forgery).
"""

from __future__ import annotations

import hmac
import ipaddress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from seriesgate.adapters.admin.problem import problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# They tell nothing but whether all is well, to programs that keep no secrets.
_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_RESPONSE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class GuardMiddleware:
    """Lets a request through, or says why not.

    `token`: all but the probes need it as a bearer token (RFC 6750). `is_local`: only this machine
    can reach the listener, so nobody calls it by another name than one of a loopback address.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, is_local: bool) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_RESPONSE_HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._is_local and not _is_loopback_name(headers.get("host", "")):
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST, "call this by localhost or a loopback address"
            )
        if not self._is_known(scope["path"], headers.get("authorization", "")):
            return problem(
                HTTPStatus.UNAUTHORIZED,
                "the token is needed: Authorization: Bearer TOKEN (gateway.admin_token)",
                {"WWW-Authenticate": 'Bearer realm="seriesgate"'},
            )
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        # No form can say so, and no script of another site may without being asked for (CORS).
        if scope["method"] == "POST" and media_type != "application/json":
            return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
        return None

    def _is_known(self, path: str, authorization: str) -> bool:
        if self._token is None or path in _OPEN_PATHS:
            return True
        scheme, _, shown = authorization.partition(" ")
        # Latin-1 is how ASGI servers decode headers: any byte is allowed, and none raises.
        given = shown.strip().encode("latin-1", "replace")
        return hmac.compare_digest(given, self._token) and scheme.lower() == "bearer"


def _is_loopback_name(host: str) -> bool:
    """Return whether a Host header (RFC 9110 7.2) names this machine for itself. Any port will do.

    The port is another one where a tunnel leads here.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
