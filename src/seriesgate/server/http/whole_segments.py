"""An encoded slash is a part of a name, and no border between the segments of a path.

ASGI servers decode paths before anyone can tell the two apart: `/series/1%2Fpreview` would be the
preview of the series 1, and not a series. Decided in ADR 56.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# Half a surrogate pair: in no text that was decoded.
_SLASH = "\udc2f"
_ENCODED = re.compile(r"%2f", re.IGNORECASE)


class WholeSegmentsMiddleware:
    """Decodes the path anew, with a sign in place of each slash that was encoded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        raw_path = scope.get("raw_path")
        if raw_path and b"%" in raw_path:
            parts = _ENCODED.split(raw_path.decode("latin-1"))
            if len(parts) > 1:
                # A copy: a server may write the path that it knows into its log.
                scope = {**scope, "path": _SLASH.join(unquote(part) for part in parts)}
        await self._app(scope, receive, send)


class _Name(Convertor[str]):
    """A parameter of a path that may have slashes, encoded or not."""

    regex = ".*"

    def convert(self, value: str) -> str:
        """From the path to the parameter."""
        return value.replace(_SLASH, "/")

    def to_string(self, value: str) -> str:
        """From the parameter to the path."""
        return value


class _Uid(_Name):
    """A UID, or what is used for one. Blanks at its ends mean nothing (PS3.5 6.2)."""

    def convert(self, value: str) -> str:
        """From the path to the parameter."""
        return super().convert(value).strip(" ")


register_url_convertor("name", _Name())
register_url_convertor("uid", _Uid())
