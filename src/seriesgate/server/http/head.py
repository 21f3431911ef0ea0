"""HEAD for every route that has GET: the same answer without its body (RFC 9110 9.3.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Answers HEAD with the head of what GET is answered. The rest of the answer is not made.

    So the head of a stream or an export is there at once, and neither of them goes on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        begun = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                begun.set()

        # In place: what the routes add to it, whoever is around this shall see.
        scope["method"] = "GET"
        answering = asyncio.ensure_future(self._app(scope, receive, send_head))
        beginning = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait([answering, beginning], return_when=asyncio.FIRST_COMPLETED)
            if not begun.is_set():
                await answering  # it has failed, and says how
        finally:
            answering.cancel()
            beginning.cancel()
            await asyncio.gather(answering, beginning, return_exceptions=True)
            scope["method"] = "HEAD"
        await send({"type": "http.response.body", "body": b"", "more_body": False})
