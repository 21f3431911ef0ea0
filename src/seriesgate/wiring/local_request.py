"""One request to the server's API without a running server, for whoever owns the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from seriesgate.server.access.tokens import Grant, Scope, new_token, token_digest
from seriesgate.wiring.server import server_app

if TYPE_CHECKING:
    from seriesgate.settings.server import ServerSettings


def request_locally(
    settings: ServerSettings, method: str, path: str, **options: Any
) -> httpx.Response:
    """Open the database of `settings`, answer one request as an administrator's, close it.

    Raises DatabaseInUse where a running server has the database to itself, CannotStart.
    """
    token = new_token()
    owner = Grant("owner", token_digest(token), frozenset({Scope.ADMIN}))
    app = server_app(settings, owner)

    async def answer() -> httpx.Response:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://localhost",
                headers={"Authorization": f"Bearer {token}"},
            ) as client,
        ):
            return await client.request(method, path, **options)

    return asyncio.run(answer())
