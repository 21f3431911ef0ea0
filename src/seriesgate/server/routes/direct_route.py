"""A route that FastAPI describes, and leaves alone when a request comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.routing import request_response

from seriesgate.server.routes.access import Access, access_of

if TYPE_CHECKING:
    from fastapi import Request, Response


class DirectRoute(APIRoute):
    """A route whose function takes the request alone, and is called without a detour.

    FastAPI finds out anew for each request what its parameters and dependencies are, which costs
    more than to read and to answer a report. Here there is one dependency, who may call it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._access = access_of(self)
        self.app = request_response(self._respond)

    async def _respond(self, request: Request) -> Response:
        if isinstance(self._access, Access):
            await self._access(request)
        response: Response = await self.endpoint(request)
        return response
