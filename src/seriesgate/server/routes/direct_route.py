"""A route that FastAPI describes, and leaves alone when a request comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.routing import APIRoute

from seriesgate.server.routes.access import Access, access_of

if TYPE_CHECKING:
    from fastapi import Response
    from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """A route whose function takes the request alone, and is called without a detour.

    FastAPI finds out anew for each request what its parameters and dependencies are, which costs
    more than to read and to answer a report. Here there is one dependency, who may call it. What
    is raised is for the exception handlers of the app, which are around all routes.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._access = access_of(self)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the path of this route."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # which refuses it
            return
        request = Request(scope, receive, send)
        if isinstance(self._access, Access):
            await self._access(request)
        response: Response = await self.endpoint(request)
        await response(scope, receive, send)
